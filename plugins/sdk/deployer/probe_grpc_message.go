// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployer

import (
	"encoding/binary"
	"errors"
)

// The messages of grpc.health.v1, as far as a probe needs them: a request with
// one string, an answer with one enum, each after five bytes of framing.

// healthServing is the one status that passes.
const healthServing = 1

var healthNames = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

const (
	frameHeader = 5 // one byte of flags and four of length

	wireVarint = 0
	wireFixed8 = 1
	wireBytes  = 2
	wireFixed4 = 5
)

// healthRequest is a framed HealthCheckRequest.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = append(message, 1<<3|wireBytes)
		message = binary.AppendUvarint(message, uint64(len(service)))
		message = append(message, service...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...) //nolint:gosec // a service has at most 1 KiB
}

// healthReply reads the status from one framed HealthCheckResponse.
func healthReply(b []byte) (uint64, error) {
	if len(b) < frameHeader {
		return 0, errors.New("it is shorter than a message of gRPC")
	}
	if b[0] != 0 {
		return 0, errors.New("it is compressed, which was not asked for")
	}
	message := b[frameHeader:]
	if uint64(binary.BigEndian.Uint32(b[1:])) != uint64(len(message)) {
		return 0, errors.New("it is not one whole message")
	}
	return healthStatus(message)
}

var errNoMessage = errors.New("it is no message of protobuf")

// healthStatus reads the field 1 of a message; it is 0 when it is left out. As
// protobuf wants it, the last one counts and other fields are skipped.
func healthStatus(b []byte) (status uint64, err error) {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29-1 {
			return 0, errNoMessage
		}
		b = b[n:]
		size := uint64(0)
		switch key & 7 {
		case wireVarint:
			value, n := binary.Uvarint(b)
			if n <= 0 {
				return 0, errNoMessage
			}
			if key>>3 == 1 {
				status = value
			}
			size = uint64(n)
		case wireFixed8:
			size = 8
		case wireFixed4:
			size = 4
		case wireBytes:
			length, n := binary.Uvarint(b)
			if n <= 0 {
				return 0, errNoMessage
			}
			b, size = b[n:], length
		default:
			return 0, errNoMessage
		}
		if size > uint64(len(b)) {
			return 0, errNoMessage
		}
		b = b[size:]
	}
	return status, nil
}
