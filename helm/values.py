"""The chart's values as types: what is allowed where, from which ``values.schema.json`` is made.

``configuration`` is the product's own file, so its part of the schema comes from the product's types. Names are those
of ``values.yaml``, where each key's meaning stands.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from helm.network_policy_types import EgressRule, Peer
from helm.scheduling import Affinity, Toleration
from helm.value_types import (
    Annotations,
    Cidr,
    Count,
    Cpus,
    Duration,
    Host,
    Key,
    Labels,
    Name,
    NameOrNone,
    Port,
    Positive,
    Quantity,
    Section,
    Share,
)
from schemas.topics import PROVIDERS, RETRY_STEPS

STAGES: Final = ("verify", "fetch", "interpret", "resolve", "orders", "charge")

#: A registry's host and port, if any, and the path there; no scheme, no tag.
_IMAGE: Final = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?/)?[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$"


class SecretKey(Section, frozen=True, kw_only=True):
    """Where a secret is: the name of a Secret in the release's namespace, and the key in it."""

    existing_secret: Name
    key: Key


class PullSecret(Section, frozen=True, kw_only=True):
    name: Name


class Image(Section, frozen=True, kw_only=True):
    repository: Annotated[str, Meta(pattern=_IMAGE)]
    tag: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$")] = ""
    digest: Annotated[str, Meta(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "Always"
    pull_secrets: list[PullSecret] = field(default_factory=list)


class KafkaUser(Section, frozen=True, kw_only=True):
    """One process's user: ``username`` with ``password``, or ``certificate`` with ``privateKey``."""

    username: str | UnsetType = UNSET
    password: SecretKey | UnsetType = UNSET
    certificate: SecretKey | UnsetType = UNSET
    private_key: SecretKey | UnsetType = UNSET


class CertificateAuthority(Section, frozen=True, kw_only=True):
    existing_secret: Name | UnsetType = UNSET
    key: Key | UnsetType = UNSET


class KafkaAccess(Section, frozen=True, kw_only=True):
    ca: CertificateAuthority
    ingest: KafkaUser
    worker: KafkaUser
    topics: KafkaUser


class Store(Section, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    kind: Literal["SecretStore", "ClusterSecretStore"] | UnsetType = UNSET


class Remote(Section, frozen=True, kw_only=True):
    remote_key: Annotated[str, Meta(min_length=1)]
    property: str | UnsetType = UNSET


class ExternalSecrets(Section, frozen=True, kw_only=True):
    enabled: bool
    store: Store
    refresh_interval: Duration
    secrets: dict[Name, Annotated[dict[Key, Remote], Meta(min_length=1)]]


class Amounts(Section, frozen=True, kw_only=True):
    cpu: Cpus | UnsetType = UNSET
    memory: Quantity | UnsetType = UNSET
    ephemeral_storage: Quantity | UnsetType = field(default=UNSET, name="ephemeral-storage")


class Resources(Section, frozen=True, kw_only=True):
    requests: Amounts | UnsetType = UNSET
    limits: Amounts | UnsetType = UNSET


class TopicsJob(Section, frozen=True, kw_only=True):
    active_deadline_seconds: Annotated[int, Meta(ge=10, le=86400)]
    backoff_limit: Annotated[int, Meta(ge=0, le=20)]
    resources: Resources


class Topics(Section, frozen=True, kw_only=True):
    manage: Literal["job", "strimzi", "none"]
    job: TopicsJob


class Shop(Section, frozen=True, kw_only=True):
    may_charge: bool = False


class StrimziUsers(Section, frozen=True, kw_only=True):
    enabled: bool
    authentication: Literal["scram-sha-512", "tls", "tls-external"]
    consumers: list[Name]
    shops: dict[Name, Shop]


class Strimzi(Section, frozen=True, kw_only=True):
    cluster: NameOrNone
    namespace: NameOrNone
    users: StrimziUsers


class IngestScaling(Section, frozen=True, kw_only=True):
    enabled: bool
    min_replicas: Count
    max_replicas: Count
    target: Annotated[int, Meta(ge=1, le=100)] = field(name="targetCPUUtilizationPercentage")


class Service(Section, frozen=True, kw_only=True):
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"]
    port: Port
    annotations: Annotations


class Ingest(Section, frozen=True, kw_only=True):
    replicas: Count
    autoscaling: IngestScaling
    resources: Resources
    pre_stop_seconds: Annotated[int, Meta(ge=0, le=300)]
    max_unavailable: Count
    service: Service


class State(Section, frozen=True, kw_only=True):
    size: Quantity | UnsetType = UNSET
    storage_class_name: NameOrNone | UnsetType = UNSET
    ephemeral: bool | UnsetType = UNSET


class WorkerScaling(Section, frozen=True, kw_only=True):
    enabled: bool | UnsetType = UNSET
    min_replicas: Count | UnsetType = UNSET
    max_replicas: Count | UnsetType = UNSET
    lag_threshold: Count | UnsetType = UNSET
    polling_interval: Annotated[int, Meta(ge=1, le=3600)] | UnsetType = UNSET
    cooldown_seconds: Annotated[int, Meta(ge=300, le=3600)] | UnsetType = UNSET


class WorkerDefaults(Section, frozen=True, kw_only=True):
    resources: Resources | UnsetType = UNSET
    state: State | UnsetType = UNSET
    startup_seconds: Annotated[int, Meta(ge=30, le=86400)] | UnsetType = UNSET
    max_unavailable: Count | UnsetType = UNSET
    autoscaling: WorkerScaling | UnsetType = UNSET


class Group(WorkerDefaults, frozen=True, kw_only=True):
    """One StatefulSet: which stages, of which providers, in how many pods."""

    stages: Annotated[list[Literal[STAGES]], Meta(min_length=1)]  # type: ignore[valid-type]
    providers: list[Literal[PROVIDERS]] = field(default_factory=list)  # type: ignore[valid-type]
    replicas: Count = 1


class TopologySpread(Section, frozen=True, kw_only=True):
    enabled: bool
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"]


class Pod(Section, frozen=True, kw_only=True):
    annotations: Annotations
    labels: Labels
    run_as_user: Annotated[int, Meta(ge=1, le=2**31 - 1)] | UnsetType = UNSET
    node_selector: Labels
    tolerations: list[Toleration]
    affinity: Affinity
    priority_class_name: NameOrNone
    topology_spread: TopologySpread


class ServiceAccount(Section, frozen=True, kw_only=True):
    annotations: Annotations


class HttpIngress(Section, frozen=True, kw_only=True):
    enabled: bool
    class_name: NameOrNone
    annotations: Annotations
    hosts: list[Host]
    tls_secret: NameOrNone


class ParentRef(Section, frozen=True, kw_only=True):
    name: Name
    namespace: Name | UnsetType = UNSET
    section_name: Name | UnsetType = UNSET
    port: Port | UnsetType = UNSET


class HttpRoute(Section, frozen=True, kw_only=True):
    enabled: bool
    annotations: Annotations
    parent_refs: list[ParentRef]
    hostnames: list[Host]


ProviderCidrs = msgspec.defstruct(
    "ProviderCidrs",
    [(name, Annotated[list[Cidr], Meta(min_length=1)] | UnsetType, UNSET) for name in PROVIDERS],
    bases=(Section,),
    frozen=True,
    kw_only=True,
)


class NetworkPolicy(Section, frozen=True, kw_only=True):
    enabled: bool
    ingress_from: list[Peer]
    metrics_from: list[Peer]
    dns: Annotated[list[Peer], Meta(min_length=1)]
    dns_ports: Annotated[list[Port], Meta(min_length=1)]
    brokers: list[Peer]
    broker_ports: list[Port]
    # a map's keys would not be looked at: a misspelt provider's addresses would be all of the internet
    provider_cidrs: ProviderCidrs = field(name="providerCIDRs")  # type: ignore[valid-type]
    cilium: bool
    extra_egress: list[EgressRule]


class Monitoring(Section, frozen=True, kw_only=True):
    monitor: Literal["none", "pod", "service"]
    interval_seconds: Annotated[int, Meta(ge=5, le=120)]
    labels: Labels
    dashboards: bool
    dashboard_labels: Labels


class Alerts(Section, frozen=True, kw_only=True):
    enabled: bool
    runbook_url: Annotated[str, Meta(pattern=r"^(https://\S+)?$")] = field(name="runbookURL")
    # a day is compared with the day before
    quiet_minutes: Annotated[int, Meta(ge=1, le=1440)]
    quiet_least: Count
    unavailable_share: Share
    bad_signatures_per_minute: Positive
    oldest_seconds: Count
    stall_seconds: Count
    # no lookup is put off more often
    retry_share: Annotated[float, Meta(gt=0, le=RETRY_STEPS)]
    provider_failure_share: Share
    refused_per_hour: Positive
    overdue_share: Share
    expiry_days: Count


class Values(Section, frozen=True, kw_only=True):
    """The whole file, but for ``configuration``, which is the product's."""

    fullname_override: Annotated[str, Meta(pattern=r"^([a-z]([-a-z0-9]{0,28}[a-z0-9])?)?$")]
    common_labels: Labels
    image: Image
    configuration: dict[str, Any]
    kafka_access: KafkaAccess
    external_secrets: ExternalSecrets
    topics: Topics
    strimzi: Strimzi
    ingest: Ingest
    workers: dict[Annotated[str, Meta(pattern=r"^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$")], Group]
    worker_defaults: WorkerDefaults
    pod: Pod
    service_account: ServiceAccount
    http_ingress: HttpIngress
    http_route: HttpRoute
    network_policy: NetworkPolicy
    monitoring: Monitoring
    alerts: Alerts
