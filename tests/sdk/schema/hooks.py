"""How schemathesis calls: with a key that the door takes, and without throwing that key away."""

import os

import schemathesis

OWN_KEY_ID = 1


@schemathesis.hook
def before_call(context, case, kwargs):
    is_admin = case.path.startswith("/admin")
    key = os.environ["ADMIN_KEY" if is_admin else "USER_KEY"]
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {key}"}
    # A key may delete itself; what follows would all be 401.
    if case.method == "DELETE" and str((case.path_parameters or {}).get("key_id")) == str(OWN_KEY_ID):
        case.path_parameters["key_id"] = OWN_KEY_ID + 1
