"""Removes what a sandbox created on a cluster that it did not start itself."""

from __future__ import annotations

from kafka import KafkaAdminClient


def remove_everything(bootstrap: str, prefix: str) -> None:
    """Delete all topics and groups whose name starts with the prefix."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        ours = [name for name in admin.list_topics() if name.startswith(prefix)]
        if ours:
            admin.delete_topics(ours)
        groups = [one["group_id"] for one in admin.list_groups() if one["group_id"].startswith(prefix)]
        if groups:
            admin.delete_groups(groups)
    finally:
        admin.close()
