"""One view of each kind, all guarded by the same feature, and the map that leads to them."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.generic import TemplateView
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.permissions import BasePermission
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from flags.decorators import FeatureRequiredMixin, feature_required
from flags.features import require_feature
from flags.permissions import FeatureEnabled

GUARDED = "billing_enabled"


class FromHeader(TokenAuthentication):
    """Sends strangers 401 with WWW-Authenticate; people come with their session."""


AUTHENTICATION = [FromHeader, SessionAuthentication]


def old_page(request: HttpRequest, **kwargs) -> HttpResponse:
    assert isinstance(request, HttpRequest)
    return HttpResponse(f"old {kwargs}")


async def old_async_page(request: HttpRequest, **kwargs) -> HttpResponse:
    return HttpResponse(f"old {kwargs}")


@feature_required(GUARDED)
def function(request, **kwargs):
    return HttpResponse("through")


@feature_required(GUARDED)
async def async_function(request, **kwargs):
    return HttpResponse("through")


@feature_required(GUARDED, otherwise=old_page)
def function_otherwise(request, **kwargs):
    return HttpResponse("through")


@feature_required(GUARDED, otherwise=old_async_page)
def function_otherwise_async(request, **kwargs):
    return HttpResponse("through")


@feature_required(GUARDED, otherwise=old_page)
async def async_function_otherwise(request, **kwargs):
    return HttpResponse("through")


@feature_required(GUARDED, otherwise=old_async_page)
async def async_function_otherwise_async(request, **kwargs):
    return HttpResponse("through")


@feature_required(GUARDED, otherwise="old_page")
def function_elsewhere(request, **kwargs):
    return HttpResponse("through")


class Method(View):
    @feature_required(GUARDED)
    def get(self, request, **kwargs):
        return HttpResponse("through")

    def post(self, request, **kwargs):
        return HttpResponse("never guarded")


class MethodOtherwise(View):
    @feature_required(GUARDED, otherwise=old_page)
    def get(self, request, **kwargs):
        return HttpResponse("through")


class AsyncMethod(View):
    @feature_required(GUARDED)
    async def get(self, request, **kwargs):
        return HttpResponse("through")


class Dispatch(View):
    @feature_required(GUARDED)
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)

    def get(self, request, **kwargs):
        return HttpResponse("through")


@method_decorator(feature_required(GUARDED), name="dispatch")
class ByMethodDecorator(View):
    def get(self, request, **kwargs):
        return HttpResponse("through")


@feature_required(GUARDED)
class Class(View):
    def get(self, request, **kwargs):
        return HttpResponse("through")


@feature_required(GUARDED, otherwise=old_page)
class ClassOtherwise(View):
    def get(self, request, **kwargs):
        return HttpResponse("through")


@feature_required(GUARDED)
class AsyncClass(View):
    async def get(self, request, **kwargs):
        return HttpResponse("through")


@feature_required(GUARDED, otherwise=old_async_page)
class AsyncClassOtherwise(View):
    async def get(self, request, **kwargs):
        return HttpResponse("through")


class Mixin(FeatureRequiredMixin, View):
    feature = GUARDED

    def get(self, request, **kwargs):
        return HttpResponse("through")


class MixinOtherwise(FeatureRequiredMixin, TemplateView):
    feature = GUARDED
    otherwise = old_page
    template_name = "404.html"


class AsyncMixin(FeatureRequiredMixin, View):
    feature = GUARDED

    async def get(self, request, **kwargs):
        return HttpResponse("through")


class OtherFeature(Mixin):
    feature = "white_label"


class NoFeature(FeatureRequiredMixin, View):
    def get(self, request, **kwargs):
        return HttpResponse("through")


def guarded(request, **kwargs):
    require_feature(GUARDED)
    return HttpResponse("through")


@api_view()
@authentication_classes(AUTHENTICATION)
@feature_required(GUARDED)
def api_function(request, **kwargs):
    return Response("through")


@feature_required(GUARDED)
@api_view()
def guarded_api_function(request, **kwargs):
    return Response("through")


@feature_required(GUARDED)
class APIClass(APIView):
    authentication_classes = AUTHENTICATION

    def get(self, request, **kwargs):
        return Response("through")


@feature_required(GUARDED, otherwise=old_page)
class APIClassOtherwise(APIView):
    authentication_classes = AUTHENTICATION

    def get(self, request, **kwargs):
        return Response("through")


class Nobody(BasePermission):
    def has_permission(self, request, view):
        return False


@feature_required(GUARDED)
class APIForNobody(APIView):
    authentication_classes = AUTHENTICATION
    permission_classes = [Nobody]

    def get(self, request, **kwargs):
        return Response("through")


class APIMixinForNobody(FeatureRequiredMixin, APIForNobody):
    feature = GUARDED


class APIMethod(APIView):
    authentication_classes = AUTHENTICATION

    @feature_required(GUARDED)
    def get(self, request, **kwargs):
        return Response("through")


class APIMixin(FeatureRequiredMixin, APIView):
    authentication_classes = AUTHENTICATION
    feature = GUARDED

    def get(self, request, **kwargs):
        return Response("through")


class APIPermission(APIView):
    authentication_classes = AUTHENTICATION
    permission_classes = [FeatureEnabled(GUARDED)]

    def get(self, request, **kwargs):
        return Response("through")


@feature_required(GUARDED)
class GuardedSet(ViewSet):
    authentication_classes = AUTHENTICATION

    def list(self, request, **kwargs):
        return Response("through")


class Set(ViewSet):
    authentication_classes = AUTHENTICATION

    def list(self, request, **kwargs):
        return Response("never guarded")

    @feature_required(GUARDED)
    @action(detail=False)
    def above(self, request, **kwargs):
        return Response("through")

    @action(detail=False)
    @feature_required(GUARDED)
    def below(self, request, **kwargs):
        return Response("through")


router = SimpleRouter()
router.register("guarded-set", GuardedSet, "guarded_set")
router.register("set", Set, "set")

urlpatterns = [
    path("old/", old_page, name="old_page"),
    path("function/", function),
    path("async-function/", async_function),
    path("function-otherwise/", function_otherwise, {"page": 7}),
    path("function-otherwise-async/", function_otherwise_async, {"page": 7}),
    path("async-function-otherwise/", async_function_otherwise, {"page": 7}),
    path("async-function-otherwise-async/", async_function_otherwise_async, {"page": 7}),
    path("function-elsewhere/", function_elsewhere),
    path("method/", Method.as_view()),
    path("method-otherwise/", MethodOtherwise.as_view(), {"page": 7}),
    path("async-method/", AsyncMethod.as_view()),
    path("dispatch/", Dispatch.as_view()),
    path("by-method-decorator/", ByMethodDecorator.as_view()),
    path("class/", Class.as_view()),
    path("class-otherwise/", ClassOtherwise.as_view(), {"page": 7}),
    path("async-class/", AsyncClass.as_view()),
    path("async-class-otherwise/", AsyncClassOtherwise.as_view(), {"page": 7}),
    path("mixin/", Mixin.as_view()),
    path("mixin-otherwise/", MixinOtherwise.as_view(), {"page": 7}),
    path("mixin-given-otherwise/", Mixin.as_view(otherwise=old_page), {"page": 7}),
    path("async-mixin/", AsyncMixin.as_view()),
    path("other-feature/", OtherFeature.as_view()),
    path("no-feature/", NoFeature.as_view()),
    path("guarded/", guarded),
    path("api/plain/", function),
    path("api/plain-async/", async_function),
    path("api/function/", api_function),
    path("api/guarded-function/", guarded_api_function),
    path("api/class/", APIClass.as_view()),
    path("api/class-otherwise/", APIClassOtherwise.as_view(), {"page": 7}),
    path("api/for-nobody/", APIForNobody.as_view()),
    path("api/mixin-for-nobody/", APIMixinForNobody.as_view()),
    path("api/method/", APIMethod.as_view()),
    path("api/mixin/", APIMixin.as_view()),
    path("api/permission/", APIPermission.as_view()),
    path("api/", include(router.urls)),
]
