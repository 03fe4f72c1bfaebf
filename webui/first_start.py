"""The first start on a store: its administrator, the key of its cookies, a link to sign in once."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from typing import Final

from callbeam_io.sealing import derived_key
from callbeam_io.store import Store, utc_text, web_accounts
from webui import passwords
from webui.roles import ADMIN
from webui.signing import LINK, LINK_LASTS

ENVIRONMENT: Final = "CALLBEAM_ADMIN_PASSWORD"
KEY: Final = "web.secret_key"
NAME: Final = "admin"


def secret_key(store: Store) -> str:
    """The key that signs session cookies: made of the key of the store's secrets, which all web apps of a store share.

    Where there is none (PostgreSQL, and nobody named one), it is made when it is first asked for and kept in the store.

    Raises:
        NoKey: the key cannot be read.
    """
    derived = derived_key(store, KEY)
    if derived is None:
        return str(web_accounts.set_setting_once(store, KEY, secrets.token_hex(32)))
    web_accounts.take_setting(store, KEY)  # that of an older version
    return derived


def make_admin(store: Store) -> str | None:
    """Makes the user ``admin`` where there are no users.

    Its password is that of the environment, else a new one, which is given back: it is kept nowhere.
    """
    if web_accounts.users(store):
        return None
    given = os.environ.get(ENVIRONMENT)
    password = given or passwords.generated()
    added = web_accounts.add_user(store, NAME, passwords.hashed(password), ADMIN, must_change=not given)
    if not added:
        return None
    web_accounts.log(store, "", "user added", NAME, {"role": ADMIN, "first_start": True})
    return None if given else password


def signin_link(store: Store, address: str, username: str = NAME) -> str:
    """A new address that signs a user in, once, within an hour; an older one is worth nothing from now on.

    Args:
        store: of the app.
        address: of the app, such as ``http://127.0.0.1:8000``.
        username: who is signed in by it.
    """
    secret = passwords.new_token()
    until = utc_text(datetime.now(UTC) + LINK_LASTS)
    value = {"token_hash": passwords.token_hash(secret), "until": until, "username": username}
    store.set_control(LINK, value)
    return f"{address.rstrip('/')}/signin?link={secret}"
