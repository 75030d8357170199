"""How Django finds who is signed in: by one query, with where they are at home, which every request needs to know."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from tenants.models import User


class WithHome(ModelBackend):
    """Django's own, which reads a person's home with the person (`UserManager.with_home`)."""

    def get_user(self, user_id: Any) -> User | None:
        """Return an active person by id, or None."""
        user = User.objects.with_home().filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
