// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"errors"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

// FuzzAnswers gives the host what a deployer of any language might send.
func FuzzAnswers(f *testing.F) {
	full, err := proto.Marshal(toTargetState(deployer.TargetState{
		LastGood:  &deployer.RevisionInfo{ID: "r"},
		Instances: []deployer.Instance{{ID: "a", Slots: []deployer.Slot{{Role: deployer.RoleServing}}}},
	}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte{0x0a, 0x00, 0x2a, 0x00})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var state pb.TargetState
		if proto.Unmarshal(raw, &state) == nil {
			if _, err := proto.Marshal(toTargetState(fromTargetState(&state))); err != nil {
				t.Errorf("what came in does not go out: %v", err)
			}
		}
		var description pb.Description
		if proto.Unmarshal(raw, &description) == nil {
			fromDescription(&description)
		}
		var validation pb.Validation
		if proto.Unmarshal(raw, &validation) == nil {
			fromValidation(&validation)
		}
		var lock pb.Lock
		if proto.Unmarshal(raw, &lock) == nil {
			if got := fromLock(&lock); (got.State != nil) != (lock.GetState() != nil) {
				t.Error("a state came or went")
			} else if _, err := proto.Marshal(toLock(got)); err != nil {
				t.Errorf("what came in does not go out: %v", err)
			}
		}
		var history pb.HistoryResponse
		if proto.Unmarshal(raw, &history) == nil {
			each(history.GetEntries(), fromEntry)
		}
		var failure pb.Error
		if proto.Unmarshal(raw, &failure) == nil {
			if e := fromError(&failure); e.Code == "" {
				t.Error("an error without a code")
			}
		}
	})
}

// FuzzQuestions gives a deployer what a host of any version might ask.
func FuzzQuestions(f *testing.F) {
	full, err := proto.Marshal(toCheckRequest(deployer.CheckRequest{Probe: deployer.Probe{
		HTTP: &deployer.HTTPProbe{Statuses: []deployer.StatusRange{{From: 200, To: 204}}, TLS: &deployer.ProbeTLS{CA: "x"}},
		GRPC: &deployer.GRPCProbe{Service: "s", TLS: &deployer.ProbeTLS{}},
	}}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte{0x22, 0x02, 0x22, 0x00})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var check pb.CheckRequest
		if proto.Unmarshal(raw, &check) == nil {
			if _, err := proto.Marshal(toCheckRequest(fromCheckRequest(&check))); err != nil {
				t.Errorf("what came in does not go out: %v", err)
			}
		}
		var run pb.RunRequest
		if proto.Unmarshal(raw, &run) == nil {
			fromRunRequest(&run)
		}
		var acquire pb.AcquireRequest
		if proto.Unmarshal(raw, &acquire) == nil {
			fromAcquireRequest(&acquire)
		}
		var record pb.RecordRequest
		if proto.Unmarshal(raw, &record) == nil {
			fromRecordRequest(&record)
		}
	})
}

// FuzzErrors sends any text home as an error.
func FuzzErrors(f *testing.F) {
	f.Add("message", "line")
	f.Add("\xff\x00", "\xf0\x90")
	f.Fuzz(func(t *testing.T, message, line string) {
		sent := &deployer.Error{Code: deployer.CodeFailed, Message: message, Log: []string{line, line}}
		var got *deployer.Error
		if !errors.As(fromStatus(toStatus(sent), "Call"), &got) || !utf8.ValidString(got.Message) {
			t.Errorf("got %v", got)
		}
	})
}
