# A stranger's client: exchangelib as it is. Run with -W error: a warning fails.
# Input: one JSON object with how (ntlm, basic, probe or autodiscover), ews, user,
# password, mailboxes and dns (port of a name server; only for autodiscover).
# Prints one line a step; the test delivers a mail to each mailbox at "streaming".
import json
import sys

from exchangelib import BASIC, IMPERSONATION, NTLM, Account, Configuration, Credentials, close_connections
from exchangelib.autodiscover import Autodiscovery
from exchangelib.autodiscover.protocol import AutodiscoverProtocol
from exchangelib.errors import (
    ErrorInvalidSubscription, ErrorNonExistentMailbox, ErrorSubscriptionNotFound,
)
from exchangelib.services import GetStreamingEvents


def say(*words):
    print(*words, flush=True)


task = json.load(sys.stdin)
credentials = Credentials(task["user"], task["password"])
if task["how"] == "autodiscover":
    # Where names are looked up is a documented setting.
    Autodiscovery.DNS_RESOLVER_ATTRS = {"nameservers": ["127.0.0.1"], "port": task["dns"], "timeout": 5}
    config = Configuration(credentials=credentials, max_connections=4)
else:
    config = Configuration(
        service_endpoint=task["ews"],
        credentials=credentials,
        auth_type={"ntlm": NTLM, "basic": BASIC, "probe": None}[task["how"]],
        max_connections=4,
    )


def account(address):
    return Account(address, config=config, autodiscover=task["how"] == "autodiscover", access_type=IMPERSONATION)


if task["how"] == "autodiscover":
    protocol = AutodiscoverProtocol(config=Configuration(service_endpoint=task["autodiscover"], credentials=credentials))
    for address in (task["mailboxes"][0].upper(), "nobody@contoso.test"):
        told = protocol.get_user_settings(user=address)
        say("told", told.error_code or told.autodiscover_smtp_address)
    say("auth", protocol.auth_type)
    protocol.close()

accounts = [account(a) for a in task["mailboxes"]]
if task["how"] == "autodiscover":
    # What was discovered has one connection, and a stream holds it.
    config = Configuration(service_endpoint=accounts[0].protocol.service_endpoint, credentials=credentials, max_connections=4)
    close_connections()
    accounts = [Account(a.primary_smtp_address, config=config, autodiscover=False, access_type=IMPERSONATION) for a in accounts]
first = accounts[0]
say("endpoint", first.protocol.service_endpoint)
say("version", first.version.build)
say("inbox", first.inbox.name, first.inbox.total_count)
sids = {}
for a in accounts:
    sids[a.inbox.subscribe_to_streaming(event_types=["NewMailEvent"])] = a
say("streaming")
seen = set()
for notification in GetStreamingEvents(account=first).call(subscription_ids=list(sids), connection_timeout=1):
    a = sids[notification.subscription_id]
    for event in notification.events:
        item = next(a.fetch([event.item_id], only_fields=["subject", "sender", "is_read", "datetime_received"]))
        say("mail", a.primary_smtp_address, item.subject, item.sender.email_address, item.is_read)
        seen.add(a.primary_smtp_address)
    if len(seen) == len(accounts):
        break
changes = list(first.inbox.sync_items(only_fields=["subject"]))
say("sync", len(changes), changes[0][0], changes[0][1].subject)
say("again", len(list(first.inbox.sync_items(only_fields=["subject"]))))
for sid, a in sids.items():
    a.inbox.unsubscribe(sid)
try:
    first.inbox.unsubscribe(next(iter(sids)))
except ErrorSubscriptionNotFound as e:
    say("refused", type(e).__name__)
try:
    list(GetStreamingEvents(account=first).call(subscription_ids=["AAA-"], connection_timeout=1))
except ErrorInvalidSubscription as e:
    say("refused", type(e).__name__)
if task["how"] != "autodiscover":
    try:
        account("nobody@contoso.test").inbox.refresh()
    except ErrorNonExistentMailbox as e:
        say("refused", type(e).__name__)
for a in accounts:
    a.protocol.close()
