// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// echo answers every connection with what it sends, until its end.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn.(*net.TCPConn)
}

func TestADelayProxyIsSlowButWide(t *testing.T) {
	t.Parallel()
	const rtt = 100 * time.Millisecond
	conn := dial(t, testrig.NewDelayProxy(t, echo(t), rtt).Addr)
	sent := bytes.Repeat([]byte("0123456789"), 200_000)
	started := time.Now()
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d of %d bytes came back, %v", len(got), len(sent), err)
	}
	if took := time.Since(started); took < 2*rtt || took > 20*rtt {
		t.Errorf("2 MB took %s with a handshake and a round trip of %s each", took, rtt)
	}
}

func TestADelayProxyDropsRefusesAndStalls(t *testing.T) {
	t.Parallel()
	p := testrig.NewDelayProxy(t, echo(t), 0)
	one := make([]byte, 1)
	say := func(conn net.Conn) error {
		if _, err := conn.Write([]byte("x")); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, one)
		return err
	}
	conn := dial(t, p.Addr)
	if err := say(conn); err != nil {
		t.Fatal(err)
	}
	p.Stall(true)
	_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if err := say(conn); err == nil {
		t.Error("a stalled line carried a byte")
	}
	p.Stall(false)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(conn, one); err != nil {
		t.Errorf("the line did not recover: %v", err)
	}
	p.Drop()
	if err := say(conn); err == nil {
		t.Error("a dropped connection still works")
	}
	p.Refuse(true)
	if err := say(dial(t, p.Addr)); err == nil {
		t.Error("a refused connection works")
	}
	p.Refuse(false)
	if err := say(dial(t, p.Addr)); err != nil {
		t.Errorf("after refusing: %v", err)
	}
}
