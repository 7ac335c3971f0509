"""The private and undocumented names of aiokafka, Faust and mode that `processors.transport` depends on.

Each entry names the code that must use the names. `processors.transport.patches.install` checks them.
"""

from __future__ import annotations

from typing import Final

from service.private_names import PrivateName


def _aiokafka(module: str, path: str, *names: str) -> PrivateName:
    return PrivateName("aiokafka", f"aiokafka.{module}", path, names)


def _request(module: str, path: str) -> PrivateName:
    return PrivateName("aiokafka", f"aiokafka.protocol.{module}", path, is_class=True)


def _faust(module: str, path: str, *names: str) -> PrivateName:
    return PrivateName("faust-streaming", f"faust.{module}", path, names)


def _mode(module: str, path: str, *names: str) -> PrivateName:
    return PrivateName("mode-streaming", f"mode.{module}", path, names)


_DRIVER: Final = "transport.drivers.aiokafka"
_COORDINATOR: Final = "consumer.group_coordinator"

#: For `processors.transport.patches`, `group_coordinator`, `fenced_producer` and `batch_fetcher`.
AIOKAFKA: Final = (
    # passwords for each connection
    _aiokafka("client", "AIOKafkaClient.bootstrap", "create_conn"),
    _aiokafka("client", "AIOKafkaClient._get_conn", "create_conn", "_conns", "_request_timeout_ms"),
    _aiokafka("conn", "create_conn", "sasl_plain_password"),
    # a fetch cancelled while it waits to be repeated
    _aiokafka("consumer.fetcher", "Fetcher._fetch_requests_routine", "_proc_fetch_request"),
    _aiokafka("consumer.fetcher", "Fetcher._proc_fetch_request", "assignment", "node_id", "request"),
    _aiokafka("consumer.fetcher", "Fetcher.close", "_pending_tasks"),
    # connections that are reset or dead, and the time a join may take
    _aiokafka("conn", "AIOKafkaConnection.__init__", "_request_timeout"),
    _aiokafka("conn", "AIOKafkaConnection.send", "request", "expect_response", "_request_timeout", "_writer"),
    _aiokafka("conn", "AIOKafkaConnection.close", "reason"),
    _aiokafka("conn", "CloseReason.CONNECTION_BROKEN"),
    _aiokafka("conn", "CloseReason.CONNECTION_TIMEOUT"),
    _aiokafka("client", "AIOKafkaClient.send", "send", "_conns"),
    _aiokafka("client", "AIOKafkaClient._metadata_update", "send"),
    _aiokafka("protocol.group", "JoinGroupRequest.__init__", "_rebalance_timeout"),
    _request("group", "JoinGroupRequest"),
    # membership of a group
    _aiokafka("consumer.consumer", "AIOKafkaConsumer.start", "GroupCoordinator", "_coordinator"),
    _aiokafka(_COORDINATOR, "BaseCoordinator.__init__", "_client"),
    _aiokafka(_COORDINATOR, "GroupCoordinator.__init__", "_session_timeout_ms", "coordinator_id", "_heartbeat_task"),
    _aiokafka(_COORDINATOR, "GroupCoordinator._heartbeat_routine", "_do_heartbeat"),
    _aiokafka(_COORDINATOR, "GroupCoordinator._do_heartbeat", "_send_req", "reset_generation"),
    _aiokafka(_COORDINATOR, "GroupCoordinator._do_rejoin_group", "_on_join_complete"),
    _aiokafka(_COORDINATOR, "GroupCoordinator._start_heartbeat_task", "_heartbeat_task"),
    _aiokafka(_COORDINATOR, "GroupCoordinator._send_req", "_client", "coordinator_id", "COORDINATION"),
    _aiokafka(_COORDINATOR, "CoordinatorGroupRebalance._send_sync_group_request", "_send_req"),
    _aiokafka(_COORDINATOR, "GroupCoordinator.coordinator_dead"),
    _aiokafka("client", "ConnectionGroup.COORDINATION"),
    _request("group", "SyncGroupRequest"),
    # producers: fencing, and a sender that has ended
    _aiokafka("producer.producer", "AIOKafkaProducer.__init__", "_sender", "_txn_manager", "client"),
    _aiokafka("producer.sender", "Sender.start", "_sender_task"),
    _aiokafka("producer.sender", "Sender.sender_task"),
    _aiokafka("producer.sender", "Sender._maybe_wait_for_pid", "has_pid"),
    _aiokafka("producer.transaction_manager", "TransactionManager.set_pid_and_epoch"),
    _aiokafka("producer.transaction_manager", "TransactionManager.maybe_add_partition_to_txn"),
    _aiokafka("producer.transaction_manager", "TransactionManager.producer_id"),
    _aiokafka("producer.transaction_manager", "TransactionManager.producer_epoch"),
    # raw batches of a partition
    _request("fetch", "FetchRequest"),
    _aiokafka("record.memory_records", "MemoryRecords.has_next"),
    _aiokafka("record.memory_records", "MemoryRecords.next_batch"),
)

#: For `processors.transport.faust_driver` and `processors.transport.streams`.
FAUST: Final = (
    # resuming the flow
    _mode("utils.queues", "FlowControlEvent.__init__", "_suspend", "_resume"),
    _mode("utils.queues", "FlowControlEvent.resume", "_suspend", "_resume", "clear"),
    _mode("utils.queues", "FlowControlEvent.acquire", "_suspend", "_resume"),
    _faust("app.base", "App.flow_control"),
    # the producer
    _faust(_DRIVER, "Producer._new_producer", "_settings_extra"),
    _faust(_DRIVER, "Producer.on_start", "_new_producer", "_producer"),
    _aiokafka("producer.producer", "AIOKafkaProducer.__init__", "_message_accumulator"),
    _aiokafka("producer.message_accumulator", "MessageAccumulator.__init__", "_batch_ttl"),
    _aiokafka("producer.message_accumulator", "MessageAccumulator._append_batch", "_batch_ttl"),
    _aiokafka("producer.message_accumulator", "MessageAccumulator.drain_by_nodes", "expired"),
    # the consumer and its thread
    _faust(_DRIVER, "AIOKafkaConsumerThread._create_consumer", "_create_worker_consumer"),
    _faust(_DRIVER, "AIOKafkaConsumerThread.on_start", "_consumer"),
    _aiokafka("consumer.consumer", "AIOKafkaConsumer.__init__", "_client", "_coordinator", "_request_timeout_ms"),
    _aiokafka("client", "AIOKafkaClient.__init__", "_request_timeout_ms"),
    _faust("transport.consumer", "ThreadDelegateConsumer.__init__", "_new_consumer_thread", "_thread"),
    _faust("transport.consumer", "ThreadDelegateConsumer._seek"),
    _faust("transport.consumer", "Consumer._wait_next_records", "_getmany"),
    _faust("transport.consumer", "Consumer.perform_seek", "seek_to_committed"),
    _faust("transport.consumer", "Consumer.getmany", "highwater", "perform_seek"),
    _faust("transport.consumer", "Consumer._is_changelog_tp"),
    _faust("transport.consumer", "Consumer.stop_flow"),
    _faust("tables.recovery", "Recovery._resume_streams", "perform_seek", "broker_request_timeout", "flow_control"),
    # events taken from a stream's queue
    _faust("channels", "Channel.queue"),
    _faust("channels", "Channel.on_stop_iteration"),
    _faust("types.tuples", "Message.generation_id"),
)
