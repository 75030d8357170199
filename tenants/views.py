"""The way in, the way out, and the way to one's own page."""

from django import forms
from django.contrib.auth import login as start_session
from django.contrib.auth import logout as end_session
from django.contrib.auth import password_validation
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from tenants import invitations, kept, workspaces
from tenants.access import READERS, person_required, reads, takes
from tenants.models import User
from tenants.rls import acting_as_system
from tenants.signin import SignInRefused, attempt


class SignInForm(forms.Form):
    """What the form must hold. Whether it is right is for `signin` to say."""

    username = forms.CharField(max_length=254)
    password = forms.CharField(max_length=1024, strip=False)


class InvitationForm(forms.Form):
    """What somebody new says of themselves: what to call them, and their first password, twice."""

    name = forms.CharField(
        label="Your name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        label="Password",
        max_length=1024,
        strip=False,
        help_text="At least 10 characters; a few words are easier to keep than one with tricks.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    repeated = forms.CharField(
        label="The password once more",
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args, user: User, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        """Refuse what the installation's password rules refuse."""
        password_validation.validate_password(self.cleaned_data["password"], self.user)
        return self.cleaned_data["password"]

    def clean_repeated(self) -> str:
        """Refuse two passwords that differ."""
        password = self.cleaned_data.get("password")
        if password is not None and password != self.cleaned_data["repeated"]:
            raise forms.ValidationError("This is not the password you typed above.")
        return self.cleaned_data["repeated"]


@never_cache
@csrf_protect
@sensitive_post_parameters("password", "repeated")
@takes("GET", "HEAD", "POST")
def invitation(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Let whoever was invited set their first password, and come in. A link that is no longer good says so."""
    with acting_as_system("look at an invitation"):
        user = invitations.invited(uid, token)
        if user is None:
            return render(request, "registration/invitation_over.html", status=410)
        form = InvitationForm(
            request.POST if request.method == "POST" else None, user=user, initial={"name": user.name}
        )
        if form.is_valid():
            invitations.accept(user, form.cleaned_data["password"], form.cleaned_data["name"])
            start_session(request, user)
            response = _go(request, reverse("home"))
            kept.remember(response, user)
            return response
    context = {"form": form, "invited": user}
    return render(request, "registration/invitation.html", context, status=422 if form.errors else 200)


@never_cache
@csrf_protect
@sensitive_post_parameters("password")
@takes("GET", "HEAD", "POST")
def login(request: HttpRequest) -> HttpResponse:
    """Sign in by email address and password, and go on to `next` if that is a page of ours."""
    following = _own_page(request, request.POST.get("next") or request.GET.get("next") or "")
    if request.method != "POST":
        if request.user.is_authenticated:
            return redirect(following or "home")
        return render(request, "registration/login.html", {"form": SignInForm(), "next": following})
    form = SignInForm(request.POST)
    wait = 0
    if form.is_valid():
        try:
            user = attempt(request, form.cleaned_data["username"], form.cleaned_data["password"])
        except SignInRefused as refusal:
            form.add_error(None, refusal.detail)
            wait = refusal.retry_after
        else:
            with acting_as_system("start a session"):
                start_session(request, user)
            typed = kept.opened(request.POST.get("kept", ""), user)
            if typed is not None:
                response = render(request, "registration/kept.html", {"kept": typed, "next": following})
            else:
                response = _go(request, following or reverse("home"))
            kept.remember(response, user)
            return response
    context = {"form": form, "next": following, "kept": request.POST.get("kept", "")}
    response = render(request, "registration/login.html", context, status=429 if wait else 422)
    if wait:
        response["Retry-After"] = str(wait)
    return response


@never_cache
@csrf_protect
@takes("POST")
def logout(request: HttpRequest) -> HttpResponse:
    """End the session, here and on the server."""
    with acting_as_system("end a session"):
        end_session(request)
    response = _go(request, reverse("login"))
    kept.forget(response)
    return response


@never_cache
@reads
@person_required
def home(request: HttpRequest) -> HttpResponse:
    """Send each person to their page; somebody without one is told whom to ask."""
    principal = request.principal  # type: ignore[attr-defined]
    if principal.is_super_admin:
        page = "console:overview"
    elif principal.company is not None:
        page = "company:feature_list" if principal.role in READERS else "company:integrations"
    else:
        page = ""
    try:
        return redirect(reverse(page))
    except NoReverseMatch:  # Nobody's page, or a door that this installation leaves out.
        return render(request, "registration/no_page.html", {"company": principal.company})


def _own_page(request: HttpRequest, address: str) -> str:
    """Return the address if it leads nowhere but here, else ""."""
    is_ours = url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return address if is_ours else ""


def _go(request: HttpRequest, address: str) -> HttpResponse:
    """Redirect; an htmx request is told to load the whole page."""
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(headers={"HX-Redirect": address})
    return redirect(address)


@takes("POST")
@person_required
def workspace(request: HttpRequest) -> HttpResponse:
    """Work in another of one's companies from now on (seed 003). Refused while the feature is off, and to strangers."""
    try:
        there = workspaces.find(request.principal, request.POST.get("workspace", ""))  # type: ignore[attr-defined]
    except workspaces.WorkspaceRefused as refused:
        raise PermissionDenied(refused.detail) from refused
    request.session[workspaces.ACTIVE] = str(there.company_id)
    return _go(request, _own_page(request, request.POST.get("next", "")) or reverse("home"))
