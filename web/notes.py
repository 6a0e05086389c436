"""The sentences that an action leaves for the next page, by name."""

from typing import Final

NOTES: Final = {
    "saved": "Saved. Delivery starts with the next receipt.",
    "changed": "Saved.",
    "deleted": "Deleted. Nothing more is sent to it.",
    "paused": "Paused. Receipts are held until you resume.",
    "resumed": "Resumed. Held receipts are sent first.",
    "on": "Broadcast is on. Every new receipt goes to each destination.",
    "revoked": "Revoked. The key ends within two seconds.",
    "key_off": "Off. Within two seconds the key opens nothing, until you switch it on again.",
    "key_on": "On. The key works again within two seconds.",
    "invitation_revoked": "Revoked. The link opens nothing any more.",
    "role_changed": "Saved. The role holds from now on.",
    "member_removed": "Removed. The management keys they made here ended; their API keys go on.",
    "left": "You have left the workspace. The management keys you made there ended.",
    "joined": "You are a member now.",
    "workspace_made": "Made. Add a destination, or send the first request.",
    "workspace_deleted": "Deleted. Its keys ended, and its requests are erased.",
    "password_changed": "Changed. Every other session of yours has ended; this one goes on.",
    "password_reset": "The password is changed and every session has ended. Sign in with the new one.",
    "named": "Renamed. Addresses stay as they are.",
    "not_found": "No request or trace with this id in this workspace.",
    "sent": "One trace named Test Generation was sent and accepted.",
    "not_sent": "The trace was not accepted. Test the connection to see why.",
    "tested": "The test passed.",
    "replaying": "Replay started. Fresh receipts still go first.",
    "replay_stopped": "Stopped. What is under way may still arrive.",
    "switched_off": "Off. It gets nothing and holds nothing.",
    "switched_on": "On. It gets every receipt from now on.",
}
