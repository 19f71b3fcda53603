// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Command serve is the server of the bench's app. It answers every HTTP request
// on 127.0.0.1:8000 with "ok", and is small because it is shipped a lot.
package main

import (
	"bufio"
	"net"
	"os"
	"time"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:8000")
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	for {
		if conn, err := listener.Accept(); err == nil {
			go answer(conn)
		}
	}
}

func answer(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if lines.Text() == "" {
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"))
			return
		}
	}
}
