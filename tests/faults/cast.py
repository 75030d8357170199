"""Who plays in the tests of faults: for the application's shell, which makes them and prints their credentials."""

CAST = """
import json
from django.test import Client
from django.contrib.auth import get_user_model
from flags import companies
from tenants import rls, tokens
from tenants.models import Company, Membership, User
with rls.acting_as_system("set the stage"):
    alice = User.objects.create_superuser("alice@example.com", "correct horse battery")
    bob = User.objects.create_user("bob@example.com", "correct horse battery")
    acme = Company.objects.create(slug="acme", name="Acme", channel_id="general", plan_id="pro")
    Membership.objects.create(company=acme, user=bob, role="admin", is_home=True)
    Company.objects.create(slug="globex", name="Globex", channel_id="general", plan_id="pro")
    _, reader = tokens.mint(name="reader", kind="server", scopes=["evaluate"], company=acme)
    _, writer = tokens.mint(name="writer", kind="server", scopes=[s for s in tokens.SCOPES])
    found = {"reader": reader, "writer": writer}
    for name, user in (("alice", alice), ("bob", bob)):
        client = Client()
        client.force_login(user)
        found[name] = client.cookies["headgate_session"].value
print(json.dumps(found))
"""
