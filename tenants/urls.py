"""The front door."""

from django.urls import path

from tenants import views

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("workspace/", views.workspace, name="workspace"),
    path("invitation/<uid>/<token>/", views.invitation, name="invitation"),
]
