// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

// fill gives every field of a value something of its own, so that a field that
// a conversion forgets, or mixes up with another, shows.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1_700_000_000+int64(*n), 5).UTC()))
		return
	case reflect.TypeFor[json.RawMessage]():
		v.Set(reflect.ValueOf(json.RawMessage(fmt.Sprintf(`{"n":%d}`, *n))))
		return
	case reflect.TypeFor[[]byte]():
		v.Set(reflect.ValueOf([]byte{byte(*n), 1}))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n)
			fill(value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("the contract has a new kind of field: " + v.Type().String())
	}
}

// complete fails for every field of a message, or of one inside it, that a
// filled value left empty.
func complete(t *testing.T, m protoreflect.Message) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			t.Errorf("%s is empty", f.FullName())
			continue
		}
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				m.Get(f).Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					complete(t, v.Message())
					return true
				})
			}
		case f.IsList():
			if f.Message() != nil {
				for n := range m.Get(f).List().Len() {
					complete(t, m.Get(f).List().Get(n).Message())
				}
			}
		case f.Message() != nil && f.Message().ParentFile().Package() == "delivery.deployer.v1":
			complete(t, m.Get(f).Message())
		}
	}
}

// roundTrip sends a filled value and a zero value over the wire.
func roundTrip[T any, M proto.Message](t *testing.T, to func(T) M, from func(M) T) {
	t.Helper()
	t.Run(reflect.TypeFor[T]().Name(), func(t *testing.T) {
		t.Parallel()
		var full, zero T
		fill(reflect.ValueOf(&full).Elem(), new(int))
		if a, ok := any(&full).(*deployer.ActivateRequest); ok {
			a.Revision = nil // stays in its process
		}
		for _, sent := range []T{full, zero} {
			bytes, err := proto.Marshal(to(sent))
			if err != nil {
				t.Fatal(err)
			}
			m := to(zero).ProtoReflect().New().Interface().(M)
			if err := proto.Unmarshal(bytes, m); err != nil {
				t.Fatal(err)
			}
			if got := from(m); !reflect.DeepEqual(got, sent) {
				t.Errorf("sent %+v\ngot  %+v", sent, got)
			}
		}
		complete(t, to(full).ProtoReflect())
	})
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	roundTrip(t, toDescription, fromDescription)
	roundTrip(t, toConfigureRequest, fromConfigureRequest)
	roundTrip(t, toValidateRequest, fromValidateRequest)
	roundTrip(t, toValidation, fromValidation)
	roundTrip(t, toInspectRequest, fromInspectRequest)
	roundTrip(t, toTargetState, fromTargetState)
	roundTrip(t, toPreviewRequest, fromPreviewRequest)
	roundTrip(t, toPreview, fromPreview)
	roundTrip(t, toAcquireRequest, fromAcquireRequest)
	roundTrip(t, toLock, fromLock)
	roundTrip(t, toRenewRequest, fromRenewRequest)
	roundTrip(t, toReleaseRequest, fromReleaseRequest)
	roundTrip(t, toPrepareRequest, fromPrepareRequest)
	roundTrip(t, toStageRequest, fromStageRequest)
	roundTrip(t, toActivateRequest, fromActivateRequest)
	roundTrip(t, toRetireRequest, fromRetireRequest)
	roundTrip(t, toRemoveRequest, fromRemoveRequest)
	roundTrip(t, toShiftRequest, fromShiftRequest)
	roundTrip(t, toResult, fromResult)
	roundTrip(t, toCheckRequest, fromCheckRequest)
	roundTrip(t, toCheckResult, fromCheckResult)
	roundTrip(t, toRecordRequest, fromRecordRequest)
	roundTrip(t, toEntry, fromEntry)
	roundTrip(t, toHistoryRequest, fromHistoryRequest)
	roundTrip(t, toPruneRequest, fromPruneRequest)
	roundTrip(t, toPruneResult, fromPruneResult)
	roundTrip(t, toLogsRequest, fromLogsRequest)
	roundTrip(t, toRunRequest, fromRunRequest)
	roundTrip(t, toRunStageRequest, fromRunStageRequest)
	roundTrip(t, toRunResult, fromRunResult)
	roundTrip(t, toEvent, fromEvent)
}

func TestErrorRoundTrip(t *testing.T) {
	t.Parallel()
	var full deployer.Error
	fill(reflect.ValueOf(&full).Elem(), new(int))
	complete(t, toError(&full).ProtoReflect())
	got := fromStatus(toStatus(fmt.Errorf("wrapped: %w", &full)), "Call")
	if !reflect.DeepEqual(got, error(&full)) {
		t.Errorf("sent %+v\ngot  %+v", &full, got)
	}
}
