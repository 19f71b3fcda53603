// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"net/http"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
)

// FuzzHealthStatus reads messages as protobuf's own parser does. That one is
// pickier in places, such as groups and strings; what it takes is the same.
func FuzzHealthStatus(f *testing.F) {
	f.Add([]byte{0x08, 0x01})
	f.Add([]byte{0x08, 0x01, 0x08, 0x02, 0x1a, 0x01, 'x'})
	f.Add([]byte{0x0a, 0x02, 0x08, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1d, 1, 2, 3, 4})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := healthStatus(b)
		var theirs grpc_health_v1.HealthCheckResponse
		if err != nil || proto.Unmarshal(b, &theirs) != nil {
			return
		}
		if int32(got) != int32(theirs.GetStatus()) { //nolint:gosec // as protobuf cuts an enum
			t.Errorf("%x: status %d, protobuf says %d", b, got, theirs.GetStatus())
		}
	})
}

// FuzzHealthAnswers judges whatever a server may say.
func FuzzHealthAnswers(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x02\x08\x01"), "0", "", "application/grpc")
	f.Add([]byte{}, "14", "%C3%B6%", "application/grpc")
	f.Fuzz(func(t *testing.T, reply []byte, code, message, contentType string) {
		resp := &http.Response{ProtoMajor: 2, Header: http.Header{}, Trailer: http.Header{}}
		resp.Header.Set("Content-Type", contentType)
		resp.Trailer.Set("Grpc-Status", code)
		resp.Trailer.Set("Grpc-Message", message)
		status, reason := judgeHealth("s", resp, reply)
		if status != CheckPass && status != CheckFail || reason == "" || !utf8.ValidString(reason) {
			t.Errorf("%q: %q", status, reason)
		}
		if got, err := healthReply(reply); status == CheckPass && (err != nil || got != healthServing || code != "0") {
			t.Errorf("%x passes", reply)
		}
	})
}

// TestHealthRequest writes what protobuf reads.
func TestHealthRequest(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"", "api", string(make([]byte, 300))} {
		framed := healthRequest(service)
		var got grpc_health_v1.HealthCheckRequest
		if err := proto.Unmarshal(framed[frameHeader:], &got); err != nil || got.GetService() != service {
			t.Errorf("%q: %v, %v", service, &got, err)
		}
	}
}
