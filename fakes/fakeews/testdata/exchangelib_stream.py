# A stranger's client: exchangelib, unpatched, warnings as failures.
# Arguments: EWS URL, account, password, NTLM or basic, mailboxes.
# Prints one line a step; the test delivers a mail to each mailbox at "streaming".
import sys
import warnings

warnings.simplefilter("error", UserWarning)

from exchangelib import BASIC, IMPERSONATION, NTLM, Account, Configuration, Credentials
from exchangelib.errors import ErrorInvalidSubscription
from exchangelib.services import GetStreamingEvents

url, user, password, scheme, addresses = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:]
config = Configuration(
    service_endpoint=url,
    credentials=Credentials(user, password),
    auth_type={"ntlm": NTLM, "basic": BASIC, "probe": None}[scheme],
    max_connections=4,
)
accounts = [
    Account(a, config=config, autodiscover=False, access_type=IMPERSONATION) for a in addresses
]
first = accounts[0]
print("version", first.version.build, flush=True)
print("inbox", first.inbox.total_count, flush=True)
ids = {}
for account in accounts:
    sid = account.inbox.subscribe_to_streaming(event_types=["NewMailEvent"])
    ids[sid] = account
print("streaming", flush=True)
seen = set()
for notification in GetStreamingEvents(account=first).call(subscription_ids=list(ids), connection_timeout=1):
    account = ids[notification.subscription_id]
    for event in notification.events:
        item = list(account.fetch([event.item_id], only_fields=["subject", "sender", "is_read", "datetime_received"]))[0]
        print("mail", account.primary_smtp_address, item.subject, item.sender.email_address, item.is_read, flush=True)
        seen.add(account.primary_smtp_address)
    if len(seen) == len(accounts):
        break
changes = list(first.inbox.sync_items(only_fields=["subject"]))
print("sync", len(changes), changes[0][1].subject, flush=True)
for sid, account in ids.items():
    account.inbox.unsubscribe(sid)
try:
    list(GetStreamingEvents(account=first).call(subscription_ids=["AAA-"], connection_timeout=1))
except ErrorInvalidSubscription as e:
    print("refused", type(e).__name__, flush=True)
