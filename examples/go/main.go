// Reads payments.status from its start and decides about goods: each event once, across crashes. Free to copy.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Event has the fields that are used here. Others are ignored, and any word may be a status.
type Event struct {
	EventID    string `json:"event_id"`
	Sequence   int64
	Merchant   string
	OrderID    string `json:"order_id"`
	OrderRole  string `json:"order_role"`
	Status     string
	Fulfilment string
	Paid       *struct {
		Value    int64 // in pence or cents: a whole number, never a float
		Currency string
	}
}

var (
	topic   = cmp.Or(os.Getenv("TOPIC"), "payments.status")
	effects = Effects(cmp.Or(os.Getenv("EFFECTS"), "effects"))
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(cmp.Or(os.Getenv("KAFKA"), "localhost:9092"), ",")...),
		kgo.ConsumerGroup(cmp.Or(os.Getenv("GROUP"), "erp")), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
	}
	if instance := os.Getenv("INSTANCE"); instance != "" {
		options = append(options, kgo.InstanceID(instance)) // a fixed name: after a restart it goes on at once
	}
	client, err := kgo.NewClient(options...)
	check(err)
	defer client.CloseAllowingRebalance()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			log.Print("stopped")
			return
		}
		fetches.EachError(func(_ string, partition int32, err error) { log.Printf("partition %d: %v", partition, err) })
		fetches.EachRecord(func(record *kgo.Record) { check(apply(record)) })
		// after the effects: a crash in between repeats records, it loses none
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			log.Printf("not committed, some records may come again: %v", err)
		}
		client.AllowRebalance()
	}
}

func apply(record *kgo.Record) error {
	payment, kind := string(record.Key), header(record, "ce_type") // the key is merchant/payment_id
	if record.Value == nil {
		log.Printf("forgotten: %s", payment) // a tombstone of payments.latest
		return nil
	}
	if kind != "payment.status.changed.v1" {
		log.Printf("not for us: %s", kind)
		return nil
	}
	var event Event
	if err := json.Unmarshal(record.Value, &event); err != nil {
		return fmt.Errorf("unreadable at offset %d: %w", record.Offset, err)
	}
	if event.EventID == "" || event.EventID != header(record, "ce_id") {
		return fmt.Errorf("two ids at offset %d", record.Offset)
	}
	last := effects.Last(payment)
	if event.Sequence <= last {
		return nil // a repeat
	}
	// payments.latest is compacted: the older events of a payment are not missed there
	if event.Sequence > last+1 && strings.HasSuffix(topic, "status") {
		log.Printf("gap: %s %d after %d", payment, event.Sequence, last)
	}
	effect := map[string]any{"payment": payment, "sequence": event.Sequence, "event_id": event.EventID}
	effect["status"], effect["goods"] = event.Status, effects.Decide(event, payment)
	if event.Paid != nil {
		effect["paid"], effect["currency"] = event.Paid.Value, event.Paid.Currency
	}
	effects.Add(payment, event.Sequence, effect)
	return nil
}

func header(record *kgo.Record, name string) (value string) {
	for _, one := range record.Headers {
		if one.Key == name {
			value = string(one.Value)
		}
	}
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
