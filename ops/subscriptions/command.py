"""``paynotify subscriptions``: shows the subscriptions of outbound webhooks, and enables or disables one.

A subscriber that answers 410 is not called any more until an operator enables its subscription again. What happened
meanwhile is delivered then.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final, Literal

import orjson

from paynotify.deliver.subscription_state import state_record
from paynotify.ops.common.action_log import ActionLog, intention, recorded_arguments
from paynotify.ops.common.operator import add_operator_options, operator_of
from paynotify.ops.common.record_sender import RecordSender
from paynotify.ops.common.terminal import print_table
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.subscriptions.standing import SubscriptionStanding, standings, state_of
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError

_RECORDED: Final = ("action", "subscription")
_STATES: Final[dict[str, Literal["enabled", "disabled"]]] = {"enable": "enabled", "disable": "disabled"}

_EPILOG: Final = """\
`list` shows whether each subscription is enabled, by whom it was disabled, how many deliveries wait to be tried again,
how many dead letters there are (also those replayed since), and how many records it has not read. `enable` and
`disable` take effect at once and last.

examples:
  paynotify subscriptions list --config paynotify.yaml
  paynotify subscriptions enable erp --reason "endpoint is back, ticket 4711"

exit codes: 0 done; 1 a listed subscription is disabled, or the state is as asked for already;
2 wrong use or configuration, 3 no Kafka broker is usable
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify subscriptions``."""
    parser.epilog = _EPILOG
    parser.add_argument("action", choices=("list", *_STATES), help="show all, or change one")
    parser.add_argument("subscription", nargs="?", metavar="ID", help="the subscription to enable or disable")
    add_operator_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show or change. The command's help lists the exit codes.

    Raises:
        ConfigurationError: an option is wrong, or the state topic does not exist.
        ClusterUnavailableError: the cluster cannot be read, or did not acknowledge the change.
    """
    configuration = load(arguments.config)
    if arguments.action == "list":
        return _list(configuration, as_json=arguments.json)
    _check_known(configuration, arguments.subscription)
    operator = operator_of(arguments.by, arguments.why)
    wanted = _STATES[arguments.action]
    with TopicReader(configuration) as reader:
        changes = state_of(arguments.subscription, configuration, reader) != wanted
    if changes:
        kafka = configuration.kafka
        recorded = recorded_arguments(arguments, _RECORDED)
        with (
            ActionLog(kafka, intention("subscriptions", operator, kafka, recorded, planned=1)) as log,
            RecordSender(
                kafka, client_id="paynotify-subscriptions", what="the change", remedy="repeat the command"
            ) as sender,
        ):
            sender.send(state_record(arguments.subscription, wanted, "operator", kafka))
            sender.flush()
            log.count()
    if arguments.json:
        report = {"subscription": arguments.subscription, "state": wanted, "changed": changes}
        print(orjson.dumps(report).decode())
    else:
        print(f"{arguments.subscription} is {wanted}" if changes else f"{arguments.subscription} was {wanted} already")
    return 0 if changes else 1


def _check_known(configuration: Configuration, subscription: str | None) -> None:
    known = [one.id for one in configuration.deliver.subscriptions]
    if subscription not in known:
        given = "none" if subscription is None else repr(subscription[:64])
        raise ConfigurationError(
            f"ID must be a subscription of the configuration ({', '.join(known) or 'it has none'}), got {given}."
        )


def _list(configuration: Configuration, *, as_json: bool) -> int:
    with TopicReader(configuration) as reader:
        found = standings(configuration, reader)
    if as_json:
        print(orjson.dumps({"subscriptions": [_as_json(one) for one in found]}).decode())
    else:
        print_table(map(_row, found), header=("subscription", "state", "since", "by", "waiting", "dead", "unread"))
    return 1 if any(one.state == "disabled" for one in found) else 0


def _as_json(one: SubscriptionStanding) -> dict[str, object]:
    return {
        "subscription": one.subscription,
        "state": one.state,
        "since": one.said.at if one.said is not None else None,
        "by": one.said.by if one.said is not None else None,
        "waiting": one.waiting,
        "dead": one.dead,
        "unread": one.unread,
    }


def _row(one: SubscriptionStanding) -> Sequence[str]:
    said = one.said
    since, by = (said.at, said.by) if said is not None else ("", "")
    unread = "not delivered yet" if one.unread is None else str(one.unread)
    return one.subscription, one.state, since, by, str(one.waiting), str(one.dead), unread
