"""Kubernetes' own words for where pods may run."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from helm.value_types import Name, Section, Selector, Tag

Weight: TypeAlias = Annotated[int, Meta(ge=1, le=100)]
Topology: TypeAlias = Annotated[str, Meta(min_length=1)]


class Toleration(Section, frozen=True, kw_only=True):
    key: str | UnsetType = UNSET
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | UnsetType = UNSET
    value: str | UnsetType = UNSET
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | UnsetType = UNSET
    toleration_seconds: int | UnsetType = UNSET


class NodeRequirement(Section, frozen=True, kw_only=True):
    key: Tag
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] | UnsetType = UNSET


class NodeTerm(Section, frozen=True, kw_only=True):
    match_expressions: list[NodeRequirement] | UnsetType = UNSET
    match_fields: list[NodeRequirement] | UnsetType = UNSET


class NodeTerms(Section, frozen=True, kw_only=True):
    node_selector_terms: Annotated[list[NodeTerm], Meta(min_length=1)]


class PreferredNodes(Section, frozen=True, kw_only=True):
    weight: Weight
    preference: NodeTerm


class NodeAffinity(Section, frozen=True, kw_only=True):
    required_during_scheduling_ignored_during_execution: NodeTerms | UnsetType = UNSET
    preferred_during_scheduling_ignored_during_execution: list[PreferredNodes] | UnsetType = UNSET


class PodTerm(Section, frozen=True, kw_only=True):
    topology_key: Topology
    label_selector: Selector | UnsetType = UNSET
    namespaces: list[Name] | UnsetType = UNSET
    namespace_selector: Selector | UnsetType = UNSET
    match_label_keys: list[str] | UnsetType = UNSET
    mismatch_label_keys: list[str] | UnsetType = UNSET


class PreferredPods(Section, frozen=True, kw_only=True):
    weight: Weight
    pod_affinity_term: PodTerm


class PodAffinity(Section, frozen=True, kw_only=True):
    required_during_scheduling_ignored_during_execution: list[PodTerm] | UnsetType = UNSET
    preferred_during_scheduling_ignored_during_execution: list[PreferredPods] | UnsetType = UNSET


class Affinity(Section, frozen=True, kw_only=True):
    node_affinity: NodeAffinity | UnsetType = UNSET
    pod_affinity: PodAffinity | UnsetType = UNSET
    pod_anti_affinity: PodAffinity | UnsetType = UNSET
