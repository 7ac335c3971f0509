"""The private and undocumented names of aiokafka, Faust and mode that `processors.transport` depends on.

Each entry names the code that must use the names. `processors.transport.patches.install` checks them.
"""

from __future__ import annotations

from typing import Final

from paynotify.service.private_names import PrivateName


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

#: For `processors.transport.patches`, `reauthentication`, `rebootstrap`, `group_coordinator`, `fenced_producer`,
#: `batch_writer` and `batch_fetcher`.
AIOKAFKA: Final = (
    # passwords and tokens for each authentication, and sessions that end
    _aiokafka("client", "AIOKafkaClient.bootstrap", "create_conn"),
    _aiokafka("client", "AIOKafkaClient._get_conn", "create_conn", "_conns", "_request_timeout_ms"),
    _aiokafka("conn", "create_conn", "sasl_oauth_token_provider"),
    _aiokafka("conn", "AIOKafkaConnection.authenticator_plain", "_sasl_plain_password"),
    _aiokafka("conn", "AIOKafkaConnection.authenticator_scram", "_sasl_plain_password"),
    _aiokafka("conn", "AIOKafkaConnection.connect", "_do_sasl_handshake"),
    _aiokafka("conn", "AIOKafkaConnection._do_sasl_handshake", "SaslHandShakeRequest", "SaslAuthenticateRequest"),
    _aiokafka("conn", "AIOKafkaConnection._do_sasl_handshake", "send", "authenticator_plain", "authenticator_scram"),
    _aiokafka("conn", "AIOKafkaConnection.connected"),
    _aiokafka("conn", "AIOKafkaConnection._handle_frame", "_requests"),
    # brokers that have all moved, and clusters that were replaced
    _aiokafka("client", "AIOKafkaClient._md_synchronizer", "_metadata_update", "cluster", "_topics"),
    _aiokafka("client", "AIOKafkaClient.fetch_all_metadata", "_metadata_update"),
    _aiokafka("client", "AIOKafkaClient._metadata_update", "update_metadata", "cluster", "cluster_metadata", "topics"),
    _aiokafka("client", "AIOKafkaClient.bootstrap", "hosts", "_client_id", "_ssl_context", "_security_protocol"),
    _aiokafka("client", "AIOKafkaClient.bootstrap", "_sasl_mechanism", "_sasl_plain_username", "_sasl_plain_password"),
    _aiokafka("client", "AIOKafkaClient.bootstrap", "_sasl_oauth_token_provider", "_request_timeout_ms"),
    _aiokafka("cluster", "ClusterMetadata.failed_update"),
    _aiokafka("cluster", "ClusterMetadata.update_metadata", "metadata", "brokers"),
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
    _aiokafka(_COORDINATOR, "GroupCoordinator.need_rejoin", "subscription"),
    _aiokafka(_COORDINATOR, "GroupCoordinator.ensure_active_group", "subscription", "prev_assignment"),
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
    # records appended to a batch that is open
    _aiokafka("producer.producer", "AIOKafkaProducer.__init__", "_message_accumulator", "_request_timeout_ms"),
    _aiokafka("producer.producer", "AIOKafkaProducer.__init__", "_max_request_size"),
    _aiokafka("producer.message_accumulator", "MessageAccumulator.__init__", "_batches", "_closed", "_exception"),
    _aiokafka("producer.message_accumulator", "MessageAccumulator.waiter", "_waiter_future"),
    _aiokafka("producer.message_accumulator", "MessageAccumulator.create_builder"),
    _aiokafka("producer.message_accumulator", "MessageAccumulator._append_batch", "builder", "tp"),
    _aiokafka("producer.message_accumulator", "MessageBatch.__init__", "_builder", "future"),
    _aiokafka("producer.message_accumulator", "MessageBatch.wait_drain", "timeout"),
    _aiokafka("producer.message_accumulator", "MessageBatch.record_count"),
    _aiokafka("producer.message_accumulator", "BatchBuilder.append", "timestamp", "key", "value", "headers"),
    # requests and responses, encoded and decoded with fewer calls
    _aiokafka("protocol.types", "Schema.__init__", "fields"),
    _aiokafka("protocol.struct", "Struct.encode", "SCHEMA", "encode"),
    _aiokafka("protocol.types", "Array.encode", "array_of", "encode"),
    _aiokafka("protocol.types", "Array.decode", "array_of", "decode"),
    # raw batches of a partition
    _request("fetch", "FetchRequest"),
    _aiokafka("record.memory_records", "MemoryRecords.has_next"),
    _aiokafka("record.memory_records", "MemoryRecords.next_batch"),
)

#: For `processors.transport.faust_driver`, `faust_consumer` and `streams`.
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
    # the consumer in the process's own loop
    _mode("threads", "ServiceThread.__init__", "thread_loop", "Worker", "_close_thread_loop_on_stop"),
    _mode("threads", "ServiceThread.start", "Worker", "_keepalive2", "_thread_running"),
    _mode("threads", "ServiceThread._serve", "_gather_remaining_tasks", "_shutdown_thread"),
    _mode("threads", "QueueServiceThread.call_thread"),
    _faust("transport.consumer", "ThreadDelegateConsumer.__init__", "_new_consumer_thread", "_thread"),
    _faust("transport.consumer", "ThreadDelegateConsumer.threadsafe_partitions_revoked", "receiver_loop"),
    _faust("transport.consumer", "ThreadDelegateConsumer.threadsafe_partitions_assigned", "generation_id"),
    _faust(_DRIVER, "AIOKafkaConsumerThread._create_consumer", "_create_worker_consumer"),
    _faust(_DRIVER, "AIOKafkaConsumerThread.on_start", "_consumer"),
    _aiokafka("consumer.consumer", "AIOKafkaConsumer.__init__", "_client", "_coordinator", "_request_timeout_ms"),
    _aiokafka("consumer.consumer", "AIOKafkaConsumer.start", "_fetcher"),
    _aiokafka("client", "AIOKafkaClient.__init__", "_request_timeout_ms"),
    _aiokafka("consumer.fetcher", "Fetcher._create_fetch_waiter", "_fetch_waiters"),
    _aiokafka("consumer.fetcher", "Fetcher._notify"),
    _aiokafka("consumer.fetcher", "Fetcher._get_actions_per_node", "_fetcher_timeout"),
    # records handed over by partition
    _faust("transport.consumer", "Consumer._drain_messages", "should_stop"),
    _faust("transport.consumer", "Consumer._wait_next_records", "flow_active"),
    _faust("transport.consumer", "Consumer._get_active_partitions", "_active_partitions"),
    _faust("transport.consumer", "Consumer.on_buffer_full", "_get_active_partitions"),
    _faust("transport.consumer", "Consumer.on_buffer_drop", "_get_active_partitions"),
    _faust("transport.consumer", "Consumer.resume_flow", "flow_active"),
    _faust(_DRIVER, "AIOKafkaConsumerThread.getmany", "timeout", "_max_poll_records"),
    _faust(_DRIVER, "AIOKafkaConsumerThread._fetch_records", "fetched_records", "flow_active", "_closed"),
    _aiokafka("consumer.fetcher", "Fetcher.fetched_records", "_records"),
    _faust("app.base", "App.on_rebalance_start", "rebalancing_count"),
    _faust("app.base", "App._on_rebalance_when_stopped", "consumer", "close"),
    _faust("transport.conductor", "Conductor._update_tp_index", "_tp_index"),
    _mode("utils.queues", "FlowControlQueue.clear", "_queue"),
    _mode("utils.queues", "FlowControlQueue.put_nowait_enhanced", "on_pressure_high", "on_pressure_drop"),
    # commits by offset
    _faust("transport.consumer", "Consumer.force_commit", "_filter_tps_with_pending_acks", "_commit_tps"),
    _faust("transport.consumer", "Consumer._filter_committable_offsets", "_new_offset", "_should_commit"),
    _faust("transport.consumer", "Consumer._should_commit", "_committed_offset"),
    _faust("transport.consumer", "Consumer._commit_tps", "_commit_offsets", "start_new_transaction"),
    _faust("transport.consumer", "Consumer._commit_offsets", "_commit", "_committed_offset"),
    _faust("transport.consumer", "Consumer.verify_all_partitions_active"),
    # seeking
    _faust("transport.consumer", "ThreadDelegateConsumer._seek"),
    _faust("transport.consumer", "Consumer.perform_seek", "seek_to_committed"),
    _faust("transport.consumer", "Consumer._is_changelog_tp"),
    _faust("transport.consumer", "Consumer.stop_flow", "flow_active"),
    _faust(_DRIVER, "ConsumerRebalanceListener.on_partitions_revoked", "on_rebalance_start"),
    _faust("tables.recovery", "Recovery._resume_streams", "perform_seek", "broker_request_timeout", "flow_control"),
    # records taken from a stream's queue
    _faust("channels", "Channel.queue"),
    _faust("channels", "Channel.on_stop_iteration"),
)
