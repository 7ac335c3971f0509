"""Rules across several keys of the values, as JSON Schema conditions.

Here are the mistakes that would go unnoticed, or be noticed only by pods that do not start. What the API server, the
topics job or the product itself refuses with a clear sentence is not repeated.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]


def _at(path: str, condition: Schema) -> Schema:
    """The condition for the value at a dotted path, which must be there."""
    for key in reversed(path.split(".")):
        condition = {"properties": {key: condition}, "required": [key]}
    return condition


def _if(conditions: dict[str, Schema], *rules: Schema) -> Schema:
    """The rules hold if each condition holds at its path."""
    return {
        "if": {"allOf": [_at(path, condition) for path, condition in conditions.items()]},
        "then": {"allOf": list(rules)},
    }


def _must(path: str, condition: Schema, sentence: str) -> Schema:
    """The value at the path must meet the condition. The validator prints the sentence, never what was written."""
    return _at(path, {"if": condition, "else": {"const": sentence}})


_TRUE: Final[Schema] = {"const": True}
_FILLED: Final[Schema] = {"minLength": 1}
_NOT_EMPTY: Final[Schema] = {"minItems": 1}
_ABSENT: Final[Schema] = {"maxProperties": 0}
_KNOWN_USERS: Final[Schema] = {
    "properties": {"kind": {"enum": ["proxy", "basic", "oidc"]}},
    "required": ["kind"],
}
_PROTOCOL: Final = "configuration.kafka.security_protocol"
_MECHANISM: Final = "configuration.kafka.sasl_mechanism"
_AUDIENCE: Final = "kafkaAccess.serviceAccountToken.audience"
_OAUTH: Final[Schema] = {"const": "OAUTHBEARER"}
_SASL: Final[Schema] = {"pattern": "^SASL"}
_UNENCRYPTED: Final[Schema] = {"pattern": "(PLAINTEXT)$"}


def _credentials(process: str) -> Schema:
    sentence = f"{{username: NAME, password: {{existingSecret: NAME, key: KEY}}}}, since {_PROTOCOL} uses SASL"
    return _must(f"kafkaAccess.{process}", {"required": ["username", "password"]}, sentence)


def _no_certificate(*keys: str) -> Schema:
    rule: Schema = {
        "if": _ABSENT,
        "else": {"const": f"absent, since {_PROTOCOL} does not encrypt: use SSL or SASL_SSL"},
    }
    for key in reversed(("kafkaAccess", *keys)):
        rule = {"properties": {key: rule}}
    return rule


#: Who needs credentials: users with a password, and clients of a token endpoint.
_NAMED: Final[tuple[dict[str, Schema], ...]] = (
    {_PROTOCOL: _SASL, _MECHANISM: {"not": _OAUTH}},
    {_PROTOCOL: _SASL, _MECHANISM: _OAUTH, "configuration.kafka.sasl_oauth.token_endpoint": {"type": "string"}},
)

RULES: Final[tuple[Schema, ...]] = (
    # the topics job has a user of its own, so it would not notice that the other processes have none
    *(_if(named, _credentials("ingest"), _credentials("worker")) for named in _NAMED),
    *(_if({**named, "topics.manage": {"const": "job"}}, _credentials("topics")) for named in _NAMED),
    *(_if({**named, "deliver.enabled": _TRUE}, _credentials("deliver")) for named in _NAMED),
    *(_if({**named, "console.enabled": _TRUE}, _credentials("console")) for named in _NAMED),
    # the pod listens for others, which the product refuses without users
    _if(
        {"console.enabled": _TRUE},
        _must(
            "configuration.console",
            {"properties": {"public_urls": _NOT_EMPTY, "access": _KNOWN_USERS}, "required": ["public_urls", "access"]},
            "with public_urls, and access of a kind that knows users, since console.enabled is true",
        ),
    ),
    _if(
        {"console.httpIngress.enabled": _TRUE},
        _must("console.httpIngress.hosts", _NOT_EMPTY, "the hosts of the console, such as [console.shop.example]"),
    ),
    _if(
        {"deliver.enabled": _TRUE},
        _must(
            "configuration.deliver",
            {"properties": {"subscriptions": _NOT_EMPTY}, "required": ["subscriptions"]},
            "with subscriptions, since deliver.enabled is true",
        ),
    ),
    _if(
        {_PROTOCOL: _SASL, _MECHANISM: _OAUTH, _AUDIENCE: {"maxLength": 0}},
        _must(
            "configuration.kafka",
            {"required": ["sasl_oauth"]},
            "with sasl_oauth, or kafkaAccess.serviceAccountToken with an audience, since sasl_mechanism is OAUTHBEARER",
        ),
    ),
    _if({_AUDIENCE: _FILLED}, _must(_MECHANISM, _OAUTH, "OAUTHBEARER, since kafkaAccess.serviceAccountToken is used")),
    # whoever gives a certificate expects encryption
    _if(
        {_PROTOCOL: _UNENCRYPTED},
        _no_certificate("ca"),
        *(_no_certificate(process, "certificate") for process in ("ingest", "worker", "topics", "deliver", "console")),
    ),
    # without a request the autoscaler measures nothing and never scales
    _if(
        {"ingest.autoscaling.enabled": _TRUE},
        _must("ingest.resources.requests", {"required": ["cpu"]}, "with cpu, by which ingest.autoscaling measures"),
    ),
    # the operators ignore objects without the cluster's name
    _if({"topics.manage": {"const": "strimzi"}}, _must("strimzi.cluster", _FILLED, "the name of the Kafka resource")),
    _if(
        {"strimzi.users.enabled": _TRUE},
        _must("strimzi.cluster", _FILLED, "the name of the Kafka resource"),
        # the job would run before its user exists
        _must("topics.manage", {"enum": ["strimzi", "none"]}, "strimzi or none, since strimzi.users.enabled is true"),
    ),
    _if(
        {"strimzi.users.enabled": _TRUE, "strimzi.users.authentication": {"const": "scram-sha-512"}},
        _must(_PROTOCOL, _SASL, "SASL_SSL, since strimzi.users.authentication is scram-sha-512"),
        _must(
            _MECHANISM,
            {"const": "SCRAM-SHA-512"},
            "SCRAM-SHA-512, since strimzi.users.authentication is scram-sha-512",
        ),
    ),
    _if(
        {"strimzi.users.enabled": _TRUE, "strimzi.users.authentication": {"pattern": "^tls"}},
        _must(_PROTOCOL, {"const": "SSL"}, "SSL, since strimzi.users.authentication uses TLS"),
    ),
    _if(
        {"externalSecrets.enabled": _TRUE},
        _must("externalSecrets.store", {"required": ["name"]}, "{name: NAME} of a SecretStore or ClusterSecretStore"),
    ),
    _if(
        {"httpIngress.enabled": _TRUE},
        _must("httpIngress.hosts", _NOT_EMPTY, "the hosts that providers call, such as [hooks.shop.example]"),
    ),
    _if(
        {"httpRoute.enabled": _TRUE},
        _must("httpRoute.parentRefs", _NOT_EMPTY, "the Gateways, such as [{name: public, namespace: gateways}]"),
    ),
)

#: Pairs of keys of which one is useless without the other, by section.
PAIRS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "CertificateAuthority": (("existingSecret", "key"),),
    "KafkaUser": (("certificate", "privateKey"),),
}


def paired(pairs: tuple[tuple[str, str], ...]) -> Schema:
    """Each key of a pair asks for the other."""
    return {"dependentRequired": {one: [other] for pair in pairs for one, other in (pair, pair[::-1])}}


def needs_providers(stages: tuple[str, ...]) -> Schema:
    """A group with one of these stages must name the providers it runs them for."""
    return {
        "if": {"properties": {"stages": {"contains": {"enum": list(stages)}}}, "required": ["stages"]},
        "then": {
            "if": {"properties": {"providers": {"minItems": 1}}, "required": ["providers"]},
            "else": {
                "const": f"a group with providers, such as [omnikassa]: {', '.join(stages)} run for each provider"
            },
        },
    }
