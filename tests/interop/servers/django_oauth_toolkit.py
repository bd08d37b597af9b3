"""An authorization server made with django-oauth-toolkit. It prints its issuer and runs until its input ends."""

import logging
import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

LOGIN_PAGE = """<form method="post" action="{{ request.get_full_path }}">{% csrf_token %}
{{ form.username }}{{ form.password }}<button type="submit">Log in</button></form>"""

settings.configure(
    SECRET_KEY="interop",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    # Creates the tables directly, which takes a tenth of the time.
    MIGRATION_MODULES={"auth": None, "contenttypes": None, "sessions": None, "oauth2_provider": None},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # fast; nothing is kept
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "context_processors": ["django.template.context_processors.request"],
                "loaders": [
                    ("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN_PAGE}),
                    "django.template.loaders.app_directories.Loader",
                ],
            },
        }
    ],
    LOGIN_URL="/login/",
    OAUTH2_PROVIDER={
        "SCOPES": {"orders:read": "read", "orders:write": "write", "introspection": "introspect tokens"},
        "DEFAULT_SCOPES": ["orders:read"],
        "ACCESS_TOKEN_EXPIRE_SECONDS": 600,
    },
)
django.setup()

from django.contrib.auth.views import LoginView  # noqa: E402
from oauth2_provider import urls as oauth2_urls  # noqa: E402

urlpatterns = [
    path("login/", LoginView.as_view()),
    path("o/", include((oauth2_urls.base_urlpatterns, "oauth2_provider"))),
    path("", include((oauth2_urls.metadata_urlpatterns, "metadata"))),
]


def register(name, **settings_of_client):
    from oauth2_provider.models import get_application_model

    application = get_application_model()
    application.objects.create(
        name=name, client_id=name, client_secret=f"{name}-secret", client_type="confidential", **settings_of_client
    )


class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main():
    logging.disable(logging.WARNING)  # otherwise each refused request is logged
    call_command("migrate", run_syncdb=True, verbosity=0)
    from django.contrib.auth import get_user_model

    get_user_model().objects.create_user("alice", password="secret")
    register("service", authorization_grant_type="client-credentials")
    register("orders-api", authorization_grant_type="client-credentials")
    register(
        "web-shop",
        authorization_grant_type="authorization-code",
        redirect_uris="https://shop.example.com/callback",
    )

    server = WSGIServer(("127.0.0.1", 0), Handler)
    server.set_app(get_wsgi_application())
    print(f"http://127.0.0.1:{server.server_port}", flush=True)

    def end_with_the_test():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_the_test, daemon=True).start()
    server.serve_forever()


main()
