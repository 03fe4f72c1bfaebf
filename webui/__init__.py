"""The result browser: `create_app` makes a Flask app on a result store."""

from webui.app import create_app
from webui.config import WebConfig

__all__ = ["WebConfig", "create_app"]
