"""The way in, the way out, and the way to one's own page."""

from django import forms
from django.contrib.auth import login as start_session
from django.contrib.auth import logout as end_session
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants.access import READERS, person_required
from tenants.rls import acting_as_system
from tenants.signin import SignInRefused, attempt


class SignInForm(forms.Form):
    """What the form must hold. Whether it is right is for `signin` to say."""

    username = forms.CharField(max_length=254)
    password = forms.CharField(max_length=1024, strip=False)


@never_cache
@csrf_protect
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
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
            return _go(request, following or reverse("home"))
    response = render(
        request, "registration/login.html", {"form": form, "next": following}, status=429 if wait else 422
    )
    if wait:
        response["Retry-After"] = str(wait)
    return response


@never_cache
@csrf_protect
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """End the session, here and on the server."""
    with acting_as_system("end a session"):
        end_session(request)
    return _go(request, reverse("login"))


@never_cache
@require_safe
@person_required
def home(request: HttpRequest) -> HttpResponse:
    """Send each person to their page; somebody without one is told whom to ask."""
    principal = request.principal  # type: ignore[attr-defined]
    if principal.is_super_admin:
        page = "console:flag_list"
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
