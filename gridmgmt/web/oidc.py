"""Signing in through the city's identity provider (OpenID Connect): code flow with PKCE, state and nonce.

The provider says who somebody is; what one may do stands in the account that is bound to that subject. No
account is made by signing in. Discovery and keys are fetched when they are first needed, so that the program
starts without the provider; passwords work all the time.
"""

import logging
from typing import Any

from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.integrations.flask_client import FlaskOAuth2App, OAuth  # type: ignore[import-untyped]
from flask import Blueprint, current_app, flash, redirect, render_template, request, session, url_for
from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App
from flask_login import current_user
from joserfc.errors import JoseError
from requests import RequestException

from gridmgmt.config import Oidc
from gridmgmt.db import accounts as stored
from gridmgmt.db import identity
from gridmgmt.errors import ConflictError, NotFoundError
from gridmgmt.privacy import accounts
from gridmgmt.web.access import public
from gridmgmt.web.databases import databases
from gridmgmt.web.login import go_on

log = logging.getLogger("gridmgmt.web")

pages = Blueprint("oidc", __name__, url_prefix="/oidc")

EXTENSION = "gridmgmt.oidc"
DISCOVERY = "/.well-known/openid-configuration"
TIMEOUT = 8
LEEWAY = 60  # seconds that two clocks may differ
# What a token may be signed with: never with what is no secret, or with no key at all.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LINKING, WANTED = "oidc_link", "oidc_next"
LONGEST_SUBJECT = 255

UNREACHABLE = ("暂时连不上统一身份平台", "请稍后再试，或用账号和密码登录。")
REFUSED = ("统一身份登录没有通过", "请回到登录页重新开始；多次不成请联系管理员。")
UNKNOWN = ("这个身份还没有对应的账号", "请先用账号和密码登录，在“我的账号”里绑定；没有账号请联系管理员开通。")
TAKEN = ("这个身份已经绑定了另一个账号", "一个身份只能对应一个账号，请联系管理员核对。")


@pages.get("/start")
@public
def start() -> Any:
    """Send the browser to the provider, with a state and a nonce that only this browser's session knows."""
    client = _client()
    wanted = request.args.get("next")
    # A page of a stranger must not sign anybody in: where the provider knows them, nothing else would ask.
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return redirect(url_for("login.form"), 303)
    try:
        answer = client.authorize_redirect(url_for("oidc.callback", _external=True))
    except (RequestException, AuthlibBaseError, ValueError, KeyError, RuntimeError) as why:
        return _told(why, UNREACHABLE, 502)
    session[WANTED] = wanted
    return answer


@pages.get("/callback")
@public
def callback() -> Any:
    """Take the provider's word, if it is sound, for the account bound to it."""
    try:
        issuer, subject = _sound(_client())
    except (RequestException, ValueError, RuntimeError) as why:
        return _told(why, REFUSED, 502)
    except (AuthlibBaseError, JoseError, KeyError, TypeError) as why:
        return _told(why, REFUSED, 403)
    linking, wanted = session.pop(LINKING, None), session.pop(WANTED, None)
    if current_user.is_authenticated and linking == current_user.username:
        return _link(issuer, subject)
    name = stored.of_subject(databases().accounts, issuer, subject)
    who = identity.identity(databases().accounts, name) if name else None
    if who is None:
        return _page(UNKNOWN, 403, subject=subject)
    return go_on(who, wanted)


def _link(issuer: str, subject: str) -> Any:
    who = current_user.username
    try:
        accounts.bind_subject(databases().accounts, who, who, issuer, subject)
    except ConflictError:
        return _page(TAKEN, 409)
    flash("已绑定，以后可以从登录页的按钮直接进入。")
    return redirect(url_for("account.home"), 303)


def _sound(client: FlaskOAuth2App) -> tuple[str, str]:
    """Return issuer and subject of an answer whose state, signature, issuer, audience and nonce are right.

    The issuer is the one whose description the settings name (OpenID Connect Discovery 1.0, 4.3).
    """
    metadata = client.load_server_metadata()
    described = current_app.config["SETTINGS"].oidc.discovery.removesuffix(DISCOVERY)
    if metadata["issuer"].rstrip("/") != described:
        raise KeyError("issuer")
    metadata["id_token_signing_alg_values_supported"] = [
        each
        for each in metadata.get("id_token_signing_alg_values_supported", ALGORITHMS)
        if each in ALGORITHMS
    ]
    claims = {
        "iss": {"essential": True, "value": metadata["issuer"]},
        "aud": {"essential": True, "value": client.client_id},
    }
    token = client.authorize_access_token(claims_options=claims, leeway=LEEWAY)
    if "id_token" not in token:  # what stands beside it in the answer is signed by nobody
        raise KeyError("id_token")
    found = token["userinfo"]
    if not 0 < len(str(found["sub"])) <= LONGEST_SUBJECT:
        raise KeyError("sub")
    return str(found["iss"]), str(found["sub"])


def _client() -> FlaskOAuth2App:
    found: FlaskOAuth2App | None = current_app.extensions.get(EXTENSION)
    if found is None:
        raise NotFoundError("no identity provider")
    return found


def _told(why: Exception, words: tuple[str, str], status: int) -> Any:
    # The kind alone: the text of the error may quote the token.
    log.warning("identity provider: %s", type(why).__name__)
    return _page(words, status)


def _page(words: tuple[str, str], status: int, subject: str = "") -> Any:
    return render_template("login_provider.html", title=words[0], advice=words[1], subject=subject), status


def _install(app: App, chosen: Oidc) -> None:
    app.extensions[EXTENSION] = OAuth(app).register(
        "provider",
        client_id=chosen.client_id,
        client_secret=chosen.client_secret,
        server_metadata_url=chosen.discovery,
        client_kwargs={
            "scope": "openid", "code_challenge_method": "S256", "default_timeout": TIMEOUT,
        },
    )  # fmt: skip


@pages.record_once
def _registered(state: BlueprintSetupState) -> None:
    chosen = state.app.config["SETTINGS"].oidc
    if chosen:
        _install(state.app, chosen)
