// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package sshconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
)

const (
	// atOnce bounds handshakes that are under way: sshd turns some away when more
	// than ten are not yet authenticated (MaxStartups). A host that does not
	// answer at all holds up nobody.
	atOnce = 16
	// turnTimeout is how long a handshake waits for its turn, which is not
	// counted as time of the connection.
	turnTimeout = time.Minute
	// tries of a connection that was turned away before it began.
	tries           = 8
	defaultTimeout  = 10 * time.Second
	keepaliveEvery  = 15 * time.Second
	keepaliveAnswer = 15 * time.Second
)

// Dialer makes connections by one configuration. It is safe for concurrent use.
type Dialer struct {
	port    int
	timeout time.Duration
	hosts   *credentials
	known   func() (*KnownHosts, error)
	slots   chan struct{}

	bastion  *hop
	mu       sync.Mutex
	through  *Conn
	opening  *opening // of the bastion's connection
	closedBy bool
}

// opening is an attempt to connect, for all who wait for it.
type opening struct {
	done chan struct{} // closed when the rest is known
	conn *Conn
	err  error
}

type hop struct {
	host        string
	port        int
	credentials *credentials
}

// New makes a Dialer. It reads no file and connects to nothing.
func New(c Config) (*Dialer, error) {
	d := &Dialer{port: c.Port, timeout: defaultTimeout, slots: make(chan struct{}, atOnce)}
	if d.port == 0 {
		d.port = 22
	}
	if c.ConnectTimeout != "" {
		t, err := time.ParseDuration(c.ConnectTimeout)
		if err != nil || t <= 0 {
			return nil, at(deployer.Errorf(deployer.CodeInvalid, "connect_timeout %q is no duration above zero", c.ConnectTimeout), "connect_timeout")
		}
		d.timeout = t
	}
	id := c.identity()
	if id.user == "" {
		id.user = whoami()
	}
	d.hosts = &credentials{id: id}
	d.known = sync.OnceValues(func() (*KnownHosts, error) { return c.readKnownHosts() })
	if b := c.Bastion; b != nil {
		host, port, err := SplitAddress(b.Host, 22)
		if err != nil {
			return nil, at(deployer.Errorf(deployer.CodeInvalid, "bastion: %v", err), "bastion", "host")
		}
		if b.Port != 0 {
			port = b.Port
		}
		d.bastion = &hop{host: host, port: port, credentials: &credentials{id: b.identity(id)}}
	}
	return d, nil
}

func (c Config) readKnownHosts() (*KnownHosts, error) {
	content := []byte(c.KnownHosts)
	if c.KnownHosts == "" && c.KnownHostsFile == "" {
		return nil, at(refused("there are no known host keys, and a host is never trusted on first use",
			"Set known_hosts or known_hosts_file in the ssh block of the provider, for example to the output of ssh-keyscan once it was compared with the hosts."), "known_hosts")
	}
	if c.KnownHostsFile != "" {
		more, err := readLimited(c.KnownHostsFile, maxKnownHosts)
		if err != nil {
			return nil, at(refused("the known hosts cannot be read: "+err.Error(), "Check known_hosts_file in the ssh block of the provider."), "known_hosts_file")
		}
		content = append(append(content, '\n'), more...)
	}
	return ParseKnownHosts(content)
}

// SplitAddress reads host, host:port, [v6]:port or a bare IPv6 address.
func SplitAddress(address string, otherwise int) (host string, port int, err error) {
	if ip := net.ParseIP(strings.Trim(address, "[]")); ip != nil {
		return strings.Trim(address, "[]"), otherwise, nil
	}
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		host, text = address, strconv.Itoa(otherwise)
	}
	port, err = strconv.Atoi(text)
	if host == "" || err != nil || port < 1 || port > 65535 || strings.ContainsAny(host, " /@:\\'\"\t\r\n") {
		return "", 0, fmt.Errorf("%q is no host or host:port", address)
	}
	return host, port, nil
}

// Dial connects to a host and logs in. The connection lives until it is closed
// or lost.
func (d *Dialer) Dial(ctx context.Context, address string) (*Conn, error) {
	host, port, err := SplitAddress(address, d.port)
	if err != nil {
		return nil, deployer.Errorf(deployer.CodeInvalid, "%v", err)
	}
	direct := (&net.Dialer{}).DialContext
	if d.bastion == nil {
		return d.connect(ctx, host, port, d.hosts, direct)
	}
	through, err := d.bastionConn(ctx)
	if err != nil {
		e := *deployer.AsError(err)
		e.Message = "bastion: " + e.Message
		return nil, &e
	}
	return d.connect(ctx, host, port, d.hosts, through.client.DialContext)
}

// bastionConn gives the one connection to the bastion, made when it is needed.
// All who need it meanwhile share the attempt and what comes of it; it does not
// end with any one of them.
func (d *Dialer) bastionConn(ctx context.Context) (*Conn, error) {
	d.mu.Lock()
	switch {
	case d.through != nil && d.through.alive():
		defer d.mu.Unlock()
		return d.through, nil
	case d.closedBy:
		defer d.mu.Unlock()
		return nil, errClosed()
	case d.opening == nil:
		d.opening = &opening{done: make(chan struct{})}
		go d.openBastion(context.WithoutCancel(ctx), d.opening)
	}
	o := d.opening
	d.mu.Unlock()
	select {
	case <-o.done:
		return o.conn, o.err
	case <-ctx.Done():
		return nil, interrupted(ctx)
	}
}

func (d *Dialer) openBastion(ctx context.Context, o *opening) {
	o.conn, o.err = d.connect(ctx, d.bastion.host, d.bastion.port, d.bastion.credentials, (&net.Dialer{}).DialContext)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closedBy && o.conn != nil {
		_ = o.conn.Close()
		o.conn, o.err = nil, errClosed()
	}
	d.through, d.opening = o.conn, nil
	close(o.done)
}

func errClosed() error {
	return deployer.Errorf(deployer.CodeInterrupted, "the connections were closed")
}

// Close ends the connection to the bastion, and with it all that go through it.
func (d *Dialer) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closedBy = true
	if d.through != nil {
		_ = d.through.Close()
	}
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// connect tries again, after a pause that differs from host to host, when the
// server turned it away before it said anything.
func (d *Dialer) connect(ctx context.Context, host string, port int, who *credentials, dial dialFunc) (*Conn, error) {
	known, err := d.known()
	if err != nil {
		return nil, err
	}
	ctx, turn, end := d.timed(ctx)
	defer end()
	signers, err := who.signers(ctx)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		conn, err := once(ctx, host, port, who.id.user, signers, known, dial, turn)
		if err == nil {
			return conn, nil
		}
		var early *turnedAway
		if !errors.As(err, &early) || try == tries {
			return nil, explain(ctx, host, port, d.timeout, err)
		}
		pause := time.NewTimer(time.Duration(try)*50*time.Millisecond + rand.N(time.Duration(try)*100*time.Millisecond))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, explain(ctx, host, port, d.timeout, err)
		}
	}
}

var errTooLong = errors.New("it took too long")

// timed gives a context that ends after the time for a connection, and a function
// that waits for the turn to make a handshake, while that time stands still.
func (d *Dialer) timed(outer context.Context) (ctx context.Context, turn func() (done func(), err error), end func()) {
	ctx, cancel := context.WithCancelCause(outer)
	begun, left := time.Now(), d.timeout
	clock := time.AfterFunc(left, func() { cancel(errTooLong) })
	done := func() { <-d.slots }
	turn = func() (func(), error) {
		select {
		case d.slots <- struct{}{}:
			return done, nil
		default:
		}
		if !clock.Stop() {
			return nil, errTooLong
		}
		left -= time.Since(begun)
		late := time.NewTimer(turnTimeout)
		defer late.Stop()
		select {
		case d.slots <- struct{}{}:
			begun = time.Now()
			clock.Reset(left)
			return done, nil
		case <-late.C:
			cancel(errTooLong)
			return nil, errTooLong
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return ctx, turn, func() { clock.Stop(); cancel(nil) }
}

// turnedAway is the end of a connection before the server said anything.
type turnedAway struct{ err error }

func (t *turnedAway) Error() string { return t.err.Error() }

func once(ctx context.Context, host string, port int, user string, signers []ssh.Signer, known *KnownHosts, dial dialFunc, turn func() (func(), error)) (*Conn, error) {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	raw, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	done, err := turn()
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	defer done()
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlivePeriod(keepaliveEvery)
	}
	watched := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { _ = raw.Close(); close(watched) })
	defer func() {
		if !stop() {
			<-watched
		}
	}()
	var shownKey bool
	var keyErr error
	var allowed []string
	config := &ssh.ClientConfig{
		Config:            ssh.Config{Ciphers: ciphers()},
		User:              user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signers...)},
		HostKeyAlgorithms: known.Algorithms(host, port),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			shownKey = true
			keyErr = known.Check(host, port, key)
			return keyErr
		},
		AuthCallback: func(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
			allowed = c.AllowedMethods
			return nil, nil
		},
		ClientVersion: "SSH-2.0-delivery",
	}
	transport, channels, requests, err := ssh.NewClientConn(raw, address, config)
	if err != nil {
		_ = raw.Close()
		var own *deployer.Error
		switch {
		case errors.As(err, &own) && keyErr == nil:
			return nil, own
		case keyErr != nil:
			return nil, keyErr
		case ctx.Err() != nil:
			return nil, err
		case shownKey && strings.Contains(err.Error(), "unable to authenticate"):
			return nil, unauthorized(user, address, signers, allowed)
		case shownKey:
			return nil, cutOff(user, address, signers, err)
		case !shownKey && strings.Contains(err.Error(), "no common algorithm for host key"):
			return unknownKind(ctx, host, port, user, signers, known, dial, err)
		case !shownKey && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "EOF")):
			return nil, &turnedAway{err}
		}
		return nil, err
	}
	return newConn(ssh.NewClient(transport, channels, requests), raw), nil
}

// unknownKind asks again for any host key, so that the error can show it.
func unknownKind(ctx context.Context, host string, port int, user string, signers []ssh.Signer, known *KnownHosts, dial dialFunc, first error) (*Conn, error) {
	if len(known.Algorithms(host, port)) == 0 {
		return nil, first
	}
	held := func() (func(), error) { return func() {}, nil } // the turn of the one before
	conn, err := once(ctx, host, port, user, signers, &KnownHosts{lines: known.without()}, dial, held)
	if conn != nil {
		_ = conn.Close()
		return nil, first
	}
	var e *deployer.Error
	if errors.As(err, &e) && strings.Contains(e.Message, "is not in known_hosts") {
		e.Message = strings.Replace(e.Message, "is not in known_hosts; it shows", "has other kinds of keys in known_hosts than the one it shows:", 1)
		return nil, e
	}
	return nil, first
}

// without keeps only what forbids.
func (db *KnownHosts) without() []knownLine {
	var kept []knownLine
	for _, l := range db.lines {
		if l.marker == "revoked" {
			kept = append(kept, l)
		}
	}
	return kept
}

// ciphers puts the fastest one first.
func ciphers() []string {
	all := ssh.SupportedAlgorithms().Ciphers
	fast := ssh.CipherAES128GCM
	return append([]string{fast}, slices.DeleteFunc(slices.Clone(all), func(c string) bool { return c == fast })...)
}

func explain(ctx context.Context, host string, port int, timeout time.Duration, err error) error {
	var e *deployer.Error
	if errors.As(err, &e) {
		return e
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	unreachable := func(message, advice string) error {
		return &deployer.Error{Code: deployer.CodeUnreachable, Step: "connect", Message: message, Advice: advice}
	}
	var dns *net.DNSError
	switch {
	case errors.Is(ctx.Err(), context.Canceled) && !errors.Is(context.Cause(ctx), errTooLong):
		return interrupted(ctx)
	case ctx.Err() != nil:
		return unreachable(fmt.Sprintf("no SSH connection to %s within %s", address, timeout), "Check that the host is up and reachable from here, or raise connect_timeout.")
	case errors.Is(err, syscall.ECONNREFUSED):
		return unreachable("connection to "+address+" refused", "Check that sshd runs there and listens on that port.")
	case errors.As(err, &dns):
		return unreachable("the name "+host+" cannot be resolved: "+dns.Err, "Check the host's address.")
	}
	var early *turnedAway
	if errors.As(err, &early) {
		return unreachable("sshd on "+address+" closed the connection before it began", "The server may be overloaded (MaxStartups) or may block this address; see its log.")
	}
	return unreachable("no SSH connection to "+address+": "+strings.TrimPrefix(plainText(err), "handshake failed: "), "Check that the host is up and that an SSH server answers there.")
}

func interrupted(ctx context.Context) error {
	return &deployer.Error{Code: deployer.CodeInterrupted, Step: "connect", Message: "stopped: " + context.Cause(ctx).Error()}
}

func at(e *deployer.Error, path ...string) *deployer.Error {
	e.Path = path
	return e
}
