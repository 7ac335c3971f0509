"""The types of the chart's values, from which ``values.schema.json`` is generated.

``configuration`` is the product's own file, so its schema comes from the product's types. The fields are named like the
keys of ``values.yaml``, which documents them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from helm.kafka_values import KafkaAccess
from helm.kubernetes_types import Affinity, DnsConfig, EgressRule, Peer, Toleration, Variable, Volume, VolumeMount
from helm.observing_values import Alerts, Traces
from helm.value_types import (
    NO_TAKEN_NAMES,
    Annotations,
    Bytes,
    Cidr,
    Count,
    Cpus,
    Duration,
    Host,
    Key,
    Labels,
    Name,
    NodeLabels,
    OptionalName,
    PodAnnotations,
    Port,
    ValuesSection,
)
from paynotify.schemas.providers import provider_names

#: The stages by the names that ``stages`` of a group takes, and those that run once for each provider.
STAGES: Final = ("verify", "fetch", "interpret", "resolve", "orders", "charge")
PROVIDER_STAGES: Final = STAGES[:3]

#: An image without its tag: an optional registry with an optional port, then the path; no scheme.
_IMAGE: Final = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?/)?[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$"


class PullSecret(ValuesSection, frozen=True, kw_only=True):
    name: Name


class Image(ValuesSection, frozen=True, kw_only=True):
    repository: Annotated[str, Meta(pattern=_IMAGE)]
    tag: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$")] = ""
    digest: Annotated[str, Meta(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "Always"
    pull_secrets: list[PullSecret] = field(default_factory=list)


class Store(ValuesSection, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    kind: Literal["SecretStore", "ClusterSecretStore"] | UnsetType = UNSET


class Remote(ValuesSection, frozen=True, kw_only=True):
    remote_key: Annotated[str, Meta(min_length=1)]
    property: str | UnsetType = UNSET


class ExternalSecrets(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    store: Store
    refresh_interval: Duration
    secrets: dict[Name, Annotated[dict[Key, Remote], Meta(min_length=1)]]


class Amounts(ValuesSection, frozen=True, kw_only=True):
    cpu: Cpus | UnsetType = UNSET
    memory: Bytes | UnsetType = UNSET
    ephemeral_storage: Bytes | UnsetType = field(default=UNSET, name="ephemeral-storage")


class Resources(ValuesSection, frozen=True, kw_only=True):
    requests: Amounts | UnsetType = UNSET
    limits: Amounts | UnsetType = UNSET


class TopicsJob(ValuesSection, frozen=True, kw_only=True):
    active_deadline_seconds: Annotated[int, Meta(ge=10, le=86400)]
    backoff_limit: Annotated[int, Meta(ge=0, le=20)]
    resources: Resources


class Topics(ValuesSection, frozen=True, kw_only=True):
    manage: Literal["job", "strimzi", "none"]
    job: TopicsJob


class Shop(ValuesSection, frozen=True, kw_only=True):
    may_charge: bool = False


class ToolsRights(ValuesSection, frozen=True, kw_only=True):
    may_charge: bool
    may_forget: bool


class ConsoleRights(ValuesSection, frozen=True, kw_only=True):
    may_act: bool
    may_charge: bool


class StrimziUsers(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    authentication: Literal["scram-sha-512", "tls", "tls-external"]
    tools: ToolsRights
    console: ConsoleRights
    consumers: list[Name]
    shops: dict[Name, Shop]


class Tools(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    resources: Resources


class Doctor(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    active_deadline_seconds: Annotated[int, Meta(ge=10, le=3600)]
    resources: Resources


class Strimzi(ValuesSection, frozen=True, kw_only=True):
    cluster: OptionalName
    namespace: OptionalName
    users: StrimziUsers


class IngestScaling(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    min_replicas: Count
    max_replicas: Count
    target: Annotated[int, Meta(ge=1, le=100)] = field(name="targetCPUUtilizationPercentage")


class Service(ValuesSection, frozen=True, kw_only=True):
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"]
    port: Port
    external_traffic_policy: Literal["", "Cluster", "Local"]
    annotations: Annotations
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"]
    ip_families: Annotated[list[Literal["IPv4", "IPv6"]], Meta(max_length=2)]


class Ingest(ValuesSection, frozen=True, kw_only=True):
    replicas: Count
    autoscaling: IngestScaling
    resources: Resources
    tls_secret: OptionalName
    pre_stop_seconds: Annotated[int, Meta(ge=0, le=300)]
    max_unavailable: Count
    service: Service


class Deliver(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    replicas: Count
    resources: Resources
    max_unavailable: Count


class State(ValuesSection, frozen=True, kw_only=True):
    size: Bytes | UnsetType = UNSET
    storage_class_name: OptionalName | UnsetType = UNSET
    ephemeral: bool | UnsetType = UNSET


class WorkerScaling(ValuesSection, frozen=True, kw_only=True):
    enabled: bool | UnsetType = UNSET
    min_replicas: Count | UnsetType = UNSET
    max_replicas: Count | UnsetType = UNSET
    lag_threshold: Count | UnsetType = UNSET
    polling_interval: Annotated[int, Meta(ge=1, le=3600)] | UnsetType = UNSET
    cooldown_seconds: Annotated[int, Meta(ge=300, le=3600)] | UnsetType = UNSET


class WorkerDefaults(ValuesSection, frozen=True, kw_only=True):
    resources: Resources | UnsetType = UNSET
    state: State | UnsetType = UNSET
    startup_seconds: Annotated[int, Meta(ge=30, le=86400)] | UnsetType = UNSET
    max_unavailable: Count | UnsetType = UNSET
    autoscaling: WorkerScaling | UnsetType = UNSET


GroupName: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$")]


class Group(WorkerDefaults, frozen=True, kw_only=True):
    """One StatefulSet: its stages, their providers, and the number of pods."""

    stages: Annotated[list[Literal[STAGES]], Meta(min_length=1)]  # type: ignore[valid-type]
    providers: list[Literal[provider_names()]] = field(default_factory=list)  # type: ignore[valid-type]
    replicas: Count = 1


class TopologySpread(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"]


class Pod(ValuesSection, frozen=True, kw_only=True):
    annotations: PodAnnotations
    labels: Labels
    run_as_user: Annotated[int, Meta(ge=1, le=2**31 - 1)] | UnsetType = UNSET
    node_selector: NodeLabels
    tolerations: list[Toleration]
    affinity: Affinity
    priority_class_name: OptionalName
    dns_config: DnsConfig
    extra_env: list[Variable]
    extra_volumes: list[Volume]
    extra_volume_mounts: list[VolumeMount]
    topology_spread: TopologySpread


class ServiceAccount(ValuesSection, frozen=True, kw_only=True):
    annotations: Annotations


class HttpIngress(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    class_name: OptionalName
    annotations: Annotations
    hosts: list[Host]
    tls_secret: OptionalName


class ParentRef(ValuesSection, frozen=True, kw_only=True):
    name: Name
    namespace: Name | UnsetType = UNSET
    section_name: Name | UnsetType = UNSET
    port: Port | UnsetType = UNSET


class HttpRoute(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    annotations: Annotations
    parent_refs: list[ParentRef]
    hostnames: list[Host]


class Console(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    url: Annotated[str, Meta(pattern=r"^(https?://[^\s/@?#]+)?$")]
    resources: Resources
    index_size: Bytes
    service_port: Port
    tls_secret: OptionalName
    http_ingress: HttpIngress


ProviderCidrs = msgspec.defstruct(
    "ProviderCidrs",
    [(name, Annotated[list[Cidr], Meta(min_length=1)] | UnsetType, UNSET) for name in provider_names()],
    bases=(ValuesSection,),
    frozen=True,
    kw_only=True,
)


class NetworkPolicy(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    ingress_from: list[Peer]
    console_from: list[Peer]
    metrics_from: list[Peer]
    dns: Annotated[list[Peer], Meta(min_length=1)]
    dns_ports: Annotated[list[Port], Meta(min_length=1)]
    brokers: list[Peer]
    broker_ports: list[Port]
    token_endpoint: list[Peer]
    # not a map: a misspelt provider would silently be allowed to be anywhere on the internet
    provider_cidrs: ProviderCidrs = field(name="providerCIDRs")  # type: ignore[valid-type]
    provider_proxy: list[Peer]
    subscribers: list[Peer]
    subscriber_proxy: list[Peer]
    issuer: list[Peer]
    collector: list[Peer]
    cilium: bool
    extra_egress: list[EgressRule]


class Monitoring(ValuesSection, frozen=True, kw_only=True):
    monitor: Literal["none", "pod", "service"]
    interval_seconds: Annotated[int, Meta(ge=5, le=120)]
    labels: Labels
    dashboards: bool
    dashboard_labels: Labels


class Values(ValuesSection, frozen=True, kw_only=True):
    """The whole file. ``configuration`` is replaced by the schema of the product's own types."""

    fullname_override: Annotated[str, Meta(pattern=r"^([a-z]([-a-z0-9]{0,28}[a-z0-9])?)?$")]
    common_labels: Labels
    image: Image
    configuration: dict[str, Any]
    kafka_access: KafkaAccess
    external_secrets: ExternalSecrets
    topics: Topics
    doctor: Doctor
    tools: Tools
    console: Console
    strimzi: Strimzi
    ingest: Ingest
    workers: Annotated[dict[GroupName, Group], NO_TAKEN_NAMES]
    worker_defaults: WorkerDefaults
    deliver: Deliver
    pod: Pod
    service_account: ServiceAccount
    http_ingress: HttpIngress
    http_route: HttpRoute
    network_policy: NetworkPolicy
    monitoring: Monitoring
    traces: Traces
    alerts: Alerts
