// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

// Limits on text. Errors travel in headers, so their logs are short.
const (
	maxLine    = 16 << 10 // bytes of one line
	maxLog     = 32 << 10 // bytes of the lines kept with an error or a result
	maxMessage = 16 << 10
)

// grpcCodes are what other languages and tools see; the code that counts is in
// the details.
var grpcCodes = map[deployer.Code]codes.Code{
	deployer.CodeInvalid:     codes.InvalidArgument,
	deployer.CodeRefused:     codes.PermissionDenied,
	deployer.CodeLocked:      codes.FailedPrecondition,
	deployer.CodeFenced:      codes.FailedPrecondition,
	deployer.CodeNotOwner:    codes.FailedPrecondition,
	deployer.CodeUnsupported: codes.Unimplemented,
	deployer.CodeInterrupted: codes.Aborted,
}

// toStatus makes what a handler returns.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *deployer.Error
	if !errors.As(err, &e) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		e = &deployer.Error{Code: deployer.CodeInterrupted, Message: err.Error()}
	}
	if e == nil {
		e = deployer.AsError(err)
	}
	code, ok := grpcCodes[e.Code]
	if !ok {
		code = codes.Unknown
	}
	s := status.New(code, cut(toText(e.Error()), maxMessage))
	if detailed, err := s.WithDetails(protoadapt.MessageV1Of(toError(e))); err == nil {
		s = detailed
	}
	return s.Err()
}

// fromStatus makes what a client's method returns. call is what was called.
func fromStatus(err error, call string) error {
	if err == nil {
		return nil
	}
	var own *deployer.Error
	if errors.As(err, &own) {
		return own
	}
	s, _ := status.FromError(err)
	for _, detail := range s.Details() {
		if e, ok := detail.(*pb.Error); ok {
			return fromError(e)
		}
	}
	switch s.Code() {
	case codes.Unimplemented:
		return deployer.Errorf(deployer.CodeUnsupported, "the deployer does not offer %s", call)
	case codes.Unavailable:
		return &deployer.Error{
			Code: deployer.CodePluginGone, Step: call, Message: "the deployer's process ended or closed its connection",
		}
	case codes.Canceled, codes.DeadlineExceeded:
		return &deployer.Error{Code: deployer.CodeInterrupted, Step: call, Message: s.Message()}
	}
	return &deployer.Error{
		Code: deployer.CodeFailed, Step: call, Message: fmt.Sprintf("%s (%s)", cut(s.Message(), maxMessage), s.Code()),
	}
}

func toError(e *deployer.Error) *pb.Error {
	out := &pb.Error{
		Code: toText(string(e.Code)), Instance: toText(e.Instance), Step: toText(e.Step),
		Message: cut(toText(e.Message), maxMessage), Advice: cut(toText(e.Advice), maxMessage),
		Log: toLines(e.Log), Path: toTexts(e.Path),
	}
	if h := e.Holder; h != nil {
		out.Holder = &pb.Holder{Actor: toText(h.Actor), Operation: toOperation(h.Operation), Since: toTime(h.Since)}
	}
	return out
}

func fromError(e *pb.Error) *deployer.Error {
	out := &deployer.Error{
		Code: deployer.Code(e.GetCode()), Instance: e.GetInstance(), Step: e.GetStep(),
		Message: e.GetMessage(), Advice: e.GetAdvice(), Log: e.GetLog(), Path: e.GetPath(),
	}
	if out.Code == "" {
		out.Code = deployer.CodeFailed
	}
	if h := e.GetHolder(); h != nil {
		out.Holder = &deployer.Holder{
			Actor: h.GetActor(), Operation: fromOperation(h.GetOperation()), Since: fromTime(h.GetSince()),
		}
	}
	return out
}

func toLine(line string) string { return cut(toText(line), maxLine) }

// toLines keeps the last lines that fit.
func toLines(lines []string) []string {
	var out []string
	size := 0
	for _, line := range slices.Backward(lines) {
		line = cut(toText(line), maxLog/8)
		if size += len(line) + 1; size > maxLog {
			break
		}
		out = append(out, line)
	}
	slices.Reverse(out)
	return out
}

// cut shortens a text to a number of bytes, at a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = " …"
	end := limit - len(mark)
	for end > 0 && s[end]&0xC0 == 0x80 {
		end--
	}
	return s[:end] + mark
}
