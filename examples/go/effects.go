package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Effects is what was done, in files of this folder that can be made only once: a stand-in for rows with a unique key
// in your database.
type Effects string

// Decide tells what to do with the goods. They leave once per order, unless the payment is for a part of it or a
// repeat.
func (e Effects) Decide(event Event, payment string) string {
	goods, me := payment, fmt.Sprintf("%s %d", payment, event.Sequence)
	if event.OrderID != "" && cmp.Or(event.OrderRole, "whole") == "whole" {
		goods = event.Merchant + "/order/" + event.OrderID
	}
	switch event.Fulfilment {
	case "release":
		if e.once(e.path("goods", goods), me) == me {
			return "send"
		}
		return "nothing"
	case "stop":
		whose, err := os.ReadFile(e.path("goods", goods))
		checkUnlessMissing(err)
		if strings.HasPrefix(string(whose), payment+" ") {
			return "recall"
		}
		return "keep"
	default: // hold, and words of later releases
		return "wait"
	}
}

// Last is the newest event of the payment that was applied, by sequence.
func (e Effects) Last(payment string) (last int64) {
	entries, err := os.ReadDir(e.path("payments", payment))
	checkUnlessMissing(err)
	for _, entry := range entries {
		sequence, err := strconv.ParseInt(entry.Name(), 10, 64)
		check(err)
		last = max(last, sequence)
	}
	return last
}

// Add notes what was done about one event.
func (e Effects) Add(payment string, sequence int64, effect any) {
	text, err := json.Marshal(effect)
	check(err)
	e.once(filepath.Join(e.path("payments", payment), strconv.FormatInt(sequence, 10)), string(text))
}

func (e Effects) path(kind, name string) string {
	return filepath.Join(string(e), kind, url.QueryEscape(name))
}

// Writes the file whole or not at all, unless it is there; returns what it then says.
func (e Effects) once(path, text string) string {
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	written, err := os.CreateTemp(string(e), "written")
	check(err)
	defer os.Remove(written.Name())
	_, err = written.WriteString(text)
	check(errors.Join(err, written.Sync(), written.Close()))
	err = os.Link(written.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		there, err := os.ReadFile(path)
		check(err)
		return string(there)
	}
	check(err)
	return text
}

func checkUnlessMissing(err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		check(err)
	}
}
