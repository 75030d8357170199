"""Views that show what the middleware made of a request. Used as ROOT_URLCONF."""

from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants import provenance, rls
from tenants.models import Company, ReleaseChannel


def database_side() -> dict[str, object]:
    """What the database says about who is asking."""
    if connection.vendor != "postgresql":
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "select current_user = session_user, current_user::text, current_setting('app.company_id', true), "
            "current_setting('app.user_id', true), current_setting('app.member_role', true)"
        )
        is_login, *rest = cursor.fetchone()
        role, *settings = rest
        return dict(
            zip(("role", "company", "user", "member_role"), ["login" if is_login else role, *settings], strict=True)
        )


def who(request: HttpRequest) -> JsonResponse:
    principal, binding = request.principal, rls.current()
    return JsonResponse(
        {
            "kind": principal.kind,
            "user": principal.user and principal.user.email,
            "request_user": str(request.user),
            "company": principal.company and principal.company.slug,
            "role": principal.role,
            "super": principal.is_super_admin,
            "credential": principal.credential,
            "error": request.credential_error and request.credential_error.code,
            "via": provenance.via.get(),
            "binding": [binding.role, binding.company_id and str(binding.company_id), binding.why],
            "in_transaction": connection.in_atomic_block,
            "database": database_side(),
        }
    )


def write_plan_and(then):
    def view(request: HttpRequest) -> HttpResponse:
        with rls.acting_as_system("a test's write"):
            ReleaseChannel.objects.create(slug="written", name="Written", rank=50)
        return then(request)

    return view


def fine(request: HttpRequest) -> HttpResponse:
    return HttpResponse("fine")


def unavailable(request: HttpRequest) -> HttpResponse:
    return HttpResponse("not now", status=503)


def refuse(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def broken_template(request: HttpRequest) -> TemplateResponse:
    return TemplateResponse(request, engines["django"].from_string("{% for x in boom %}{% endfor %}"), {"boom": Boom()})


def late_template(request: HttpRequest) -> TemplateResponse:
    template = engines["django"].from_string("{{ binding.role }} {{ companies.count }}")
    return TemplateResponse(request, template, {"binding": rls.current, "companies": Company.objects.all()})


class Boom:
    def __iter__(self):
        raise RuntimeError("rendering raised")


class Refusing(APIView):
    """REST framework turns the exception into an answer; what was written before it must not stay."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request):
        raise ValidationError("no")


class AnsweringFourHundred(APIView):
    """An answer with the same status that was meant: nothing was raised."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request):
        return Response({"found": False}, status=404)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def chunks():
        for _ in range(3):
            binding = rls.current()
            yield f"{binding.role} {binding.company_id} {database_side().get('role', '')} {provenance.via.get()}\n"

    return StreamingHttpResponse(chunks())


def breaking_stream(request: HttpRequest) -> StreamingHttpResponse:
    def chunks():
        yield "first\n"
        raise RuntimeError("half-way")

    return StreamingHttpResponse(chunks())


def stream_companies(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"{company.slug}\n" for company in Company.objects.order_by("slug").iterator())


def count_companies(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(Company.objects.count()))


def count_companies_as_system(request: HttpRequest) -> HttpResponse:
    with rls.acting_as_system("a test's look"):
        return HttpResponse(str(Company.objects.count()))


urlpatterns = [
    path("companies", count_companies),
    path("companies-as-system", count_companies_as_system),
    path("companies-stream", stream_companies),
    path("who/", who),
    path("login/", who),
    path("api/who", who),
    path("api/auth/who", who),
    path("ofrep/who", who),
    path("super-admin/who", who),
    path("metrics", fine),
    path("static/file", fine),
    path("write/fine", write_plan_and(fine)),
    path("write/unavailable", write_plan_and(unavailable)),
    path("write/refuse", write_plan_and(refuse)),
    path("write/broken-template", write_plan_and(broken_template)),
    path("write/api-refuses", write_plan_and(Refusing.as_view())),
    path("write/api-404", write_plan_and(AnsweringFourHundred.as_view())),
    path("write/login/", write_plan_and(refuse)),
    path("login/write", write_plan_and(refuse)),
    path("late-template", late_template),
    path("stream", stream),
    path("breaking-stream", breaking_stream),
]
