"""Kubernetes' own words for who may talk to whom."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType, field

from helm.value_types import Cidr, Port, PortName, Section, Selector


class Block(Section, frozen=True, kw_only=True):
    cidr: Cidr
    except_: list[Cidr] | UnsetType = field(default=UNSET, name="except")


class Peer(Section, frozen=True, kw_only=True):
    """NetworkPolicyPeer of Kubernetes."""

    pod_selector: Selector | UnsetType = UNSET
    namespace_selector: Selector | UnsetType = UNSET
    ip_block: Block | UnsetType = UNSET


class PolicyPort(Section, frozen=True, kw_only=True):
    port: Port | PortName | UnsetType = UNSET
    end_port: Port | UnsetType = UNSET
    protocol: Literal["TCP", "UDP", "SCTP"] | UnsetType = UNSET


class EgressRule(Section, frozen=True, kw_only=True):
    """NetworkPolicyEgressRule of Kubernetes."""

    ports: list[PolicyPort] | UnsetType = UNSET
    to: list[Peer] | UnsetType = UNSET
