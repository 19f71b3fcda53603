// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Conversions are named toX (from a contract type to its message) and fromX
// (back). A zero value and an absent one are the same on the wire.

// toText makes a string fit for protobuf, which takes UTF-8 only: command
// output need not be.
func toText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func toTexts(in []string) []string { return each(in, toText) }

func toTextMap(in map[string]string) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[toText(k)] = toText(v)
	}
	return out
}

func each[A, B any](in []A, convert func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = convert(a)
	}
	return out
}

func toTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func fromTime(t *timestamppb.Timestamp) time.Time {
	if t == nil || !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}

func toDuration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func fromDuration(d *durationpb.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.AsDuration()
}

func fromJSON(raw []byte) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

func fromBytes(raw []byte) []byte {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

func fromMap[V any](in map[string]V) map[string]V {
	if len(in) == 0 {
		return nil
	}
	return in
}
