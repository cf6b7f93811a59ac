# What somebody would build from exchangelib and gorush, as their manuals show it:
# a subscription for each mailbox, all of them on one stream; the item of every
# event is read, and gorush is told. Run by "loadgen peers".
# Argument: a file with one JSON object: ews, user, password, gorush (where it takes
# notifications), topic, and devices, a list of device tokens for each mailbox.
import json
import signal
import sys

import requests
from exchangelib import IMPERSONATION, NTLM, Account, Configuration, Credentials
from exchangelib.services import GetStreamingEvents

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with open(sys.argv[1]) as file:
    task = json.load(file)
config = Configuration(
    service_endpoint=task["ews"], credentials=Credentials(task["user"], task["password"]), auth_type=NTLM, max_connections=4,
)
accounts = {}
for address in task["devices"]:
    account = Account(address, config=config, autodiscover=False, access_type=IMPERSONATION)
    accounts[account.inbox.subscribe_to_streaming(event_types=["NewMailEvent"])] = account
gorush = requests.Session()
gorush.trust_env = False  # no proxy on the way to it
first = next(iter(accounts.values()))
while True:
    for notification in GetStreamingEvents(account=first).call(subscription_ids=list(accounts), connection_timeout=30):
        account = accounts[notification.subscription_id]
        address = account.primary_smtp_address
        for event in notification.events:
            item = next(account.fetch([event.item_id], only_fields=["subject", "sender"]))
            gorush.post(task["gorush"], json={"notifications": [{
                "tokens": task["devices"][address], "platform": 1, "topic": task["topic"], "title": item.sender.name or item.sender.email_address,
                "message": item.subject, "sound": "default", "mutable_content": True, "push_type": "alert", "priority": "high",
                "data": {"mailbell": {"mailbox": address, "item": event.item_id.id}},
            }]}).raise_for_status()
