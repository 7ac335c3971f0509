"""Which texts of the configuration the console shows.

Numbers, words of closed lists and the places of secrets are always shown. Of texts only those named here are: a key
that a later release adds is withheld until somebody has decided that it holds no secret and no personal data.
"""

from __future__ import annotations

from typing import Final

#: By path: ``[]`` stands for each element of a list, ``*`` for each name of a mapping.
SHOWN_TEXTS: Final = frozenset(
    (
        "card_numbers.id_fields",
        "console.access.grants[].merchants",
        "console.access.oidc.ca_file",
        "console.access.oidc.groups_claim",
        "console.access.oidc.issuer",
        "console.access.oidc.name_claim",
        "console.access.oidc.scopes",
        "console.access.proxy.groups_header",
        "console.access.proxy.trusted_proxies",
        "console.access.proxy.user_header",
        "console.api_tokens[].merchants",
        "console.api_tokens[].name",
        "console.grafana_url",
        "console.public_urls",
        "console.tls_certfile",
        "console.tls_keyfile",
        "deliver.private_networks",
        "deliver.proxy.no_proxy",
        "deliver.proxy.url",
        "deliver.subscriptions[].id",
        "deliver.subscriptions[].merchants",
        "encryption.keys[].id",
        "ingest.public_urls",
        "ingest.tls_certfile",
        "ingest.tls_keyfile",
        "ingest.trusted_proxies",
        "kafka.bootstrap_servers",
        "kafka.events.schema_base",
        "kafka.events.schema_ids.*",
        "kafka.events.source",
        "kafka.sasl_oauth.aws_region",
        "kafka.sasl_oauth.ca_file",
        "kafka.sasl_oauth.scope",
        "kafka.sasl_oauth.token_endpoint",
        "kafka.sasl_oauth.token_file",
        "kafka.sasl_plain_username",
        "kafka.ssl_cafile",
        "kafka.ssl_certfile",
        "kafka.ssl_keyfile",
        "kafka.topic_prefix",
        "merchants[].base_url",
        "merchants[].callers",
        "merchants[].charges.public_url",
        "merchants[].extra_fields",
        "merchants[].id",
        "merchants[].jwks_file",
        "merchants[].jwks_url",
        "merchants[].repeated_fields",
        "merchants[].same_as",
        "merchants[].short_days.starts_at",
        "merchants[].site_reference",
        "merchants[].store_name",
        "merchants[].subscription_ids",
        "merchants[].time_zone",
        "merchants[].webservices_url",
        "state_directory",
        "topics.overrides.*.settings.*",
        "worker.group_instance_id",
        "worker.provider_proxy.no_proxy",
        "worker.provider_proxy.url",
    )
)

#: URLs whose path may itself be a secret, as those of many webhook receivers: only scheme and host are shown.
SHOWN_ORIGINS: Final = frozenset(("deliver.subscriptions[].url",))
