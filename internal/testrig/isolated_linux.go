// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// startIsolated makes the hosts from namespaces: each is this very program,
// started again as the first process of a machine (see hostinit_linux.go). All
// of them, and the switch between them, end when their standard input does, so
// nothing outlives this process, however it ends: with the processes go the
// namespaces, and with those the network interfaces.
func (f *Fleet) startIsolated(t testing.TB, n int, o fleetOptions) {
	t.Helper()
	needSSHD(t)
	if os.Geteuid() != 0 {
		t.Fatal("hosts of their own need root: run the tests as root on a machine that may make network namespaces")
	}
	f.User = "deploy"
	s, err := newSwitch(o.behindBastion)
	if err != nil {
		t.Fatalf("make a network for the hosts: %v", err)
	}
	t.Cleanup(s.power.kill)
	for i := range n {
		f.Hosts = append(f.Hosts, f.newIsolated(t, s, fmt.Sprintf("app-%d", i+1), 11+i, o))
	}
	if o.behindBastion {
		f.Bastion = f.newIsolated(t, s, "bastion", 10, o)
	}
	all := append(f.Hosts[:len(f.Hosts):len(f.Hosts)], f.bastions()...)
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, h := range all {
		group.Go(func() { errs[i] = h.machine.start() })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("start the fleet: %v", err)
	}
}

func (f *Fleet) newIsolated(t testing.TB, s *netSwitch, name string, number int, o fleetOptions) *Host {
	t.Helper()
	h := &Host{Name: name, Port: 22, Dir: "/srv", hostKey: NewKeyPair(t, "")}
	m := &isolated{name: name, net: s, number: number, ip: s.hostIP(number, name == "bastion"), space: o.space}
	h.IP, h.Address, h.machine = m.ip, m.ip, m
	m.disk = filepath.Join(f.dir, name)
	sshdFiles{dir: filepath.Join(m.disk, "etc/ssh"), seen: "/etc/ssh", port: 22, login: f.User}.write(t, f, h.hostKey, o)
	m.furnish(t, f.User, o)
	t.Cleanup(func() {
		if m.power != nil {
			m.power.showOnFailure(t, name)
		}
		_ = m.kill()
	})
	return h
}

// isolated is a machine of namespaces.
type isolated struct {
	name   string
	net    *netSwitch
	number int
	ip     string
	disk   string // holds etc, srv, tmp and so on
	space  int64

	mu    sync.Mutex
	power *daemon   // nil when off
	plug  io.Closer // closing it takes the power away
}

// deployID is the login user's number on every host.
const deployID = 1000

// furnish writes what the host has in place of this machine's files.
func (m *isolated) furnish(t testing.TB, login string, o fleetOptions) {
	t.Helper()
	home := filepath.Join(m.disk, "home", login)
	writeFile(t, filepath.Join(m.disk, "etc/passwd"), fmt.Sprintf(
		"root:x:0:0:root:/root:%[1]s\nsshd:x:103:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n%[2]s:x:%[3]d:%[3]d::/home/%[2]s:%[1]s\n",
		o.shell, login, deployID), 0o644)
	writeFile(t, filepath.Join(m.disk, "etc/group"), fmt.Sprintf("root:x:0:\nnogroup:x:65534:\n%s:x:%d:\n", login, deployID), 0o644)
	writeFile(t, filepath.Join(m.disk, "etc/shadow"), fmt.Sprintf("root:*:20000:0:99999:7:::\n%s:*:20000:0:99999:7:::\n", login), 0o600)
	for _, dir := range []string{"srv", "tmp", "var/tmp", "root"} {
		if err := os.MkdirAll(filepath.Join(m.disk, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"tmp", "var/tmp"} {
		if err := os.Chmod(filepath.Join(m.disk, dir), 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(home, ".bashrc"), o.bashrc, 0o644)
	for _, path := range []string{filepath.Join(m.disk, "srv"), home, filepath.Join(home, ".bashrc")} {
		if err := os.Chown(path, deployID, deployID); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *isolated) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.power != nil {
		return errors.New("it is running already")
	}
	spec, err := json.Marshal(hostSpec{Name: m.name, Disk: m.disk, Space: m.space})
	if err != nil {
		return err
	}
	power, plug, err := boot(string(spec), "Server listening", syscall.CLONE_NEWNS|syscall.CLONE_NEWPID|syscall.CLONE_NEWNET|syscall.CLONE_NEWUTS|syscall.CLONE_NEWIPC)
	if err != nil {
		return err
	}
	m.power, m.plug = power, plug
	if err := m.net.connect(m); err != nil {
		m.off()
		return err
	}
	if _, err := io.WriteString(plug, "go\n"); err != nil {
		m.off()
		return err
	}
	if err := power.waitReady(); err != nil {
		m.off()
		return err
	}
	return nil
}

func (m *isolated) kill() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.power == nil {
		return errors.New("it is off already")
	}
	m.off()
	return nil
}

func (m *isolated) off() {
	m.power.kill()
	m.plug.Close()
	m.power, m.plug = nil, nil
}

func (m *isolated) link(up bool) error { return m.net.link(m, up) }

func (m *isolated) exec(command, stdin string) (string, error) {
	m.mu.Lock()
	power := m.power
	m.mu.Unlock()
	if power == nil {
		return "", fmt.Errorf("%s is off", m.name)
	}
	cmd := exec.Command("nsenter", "-t", fmt.Sprint(power.cmd.Process.Pid), "-m", "-u", "-i", "-n", "-p", "/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"}
	return runHostCommand(cmd, stdin)
}

// boot starts this program again in namespaces of its own.
func boot(spec, readyText string, namespaces uintptr) (*daemon, io.WriteCloser, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{bootVariable + "=" + spec, "GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	plug, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	power, err := spawnDaemon(cmd, readyText)
	if err != nil {
		return nil, nil, fmt.Errorf("make namespaces: %w", err)
	}
	return power, plug, nil
}

// netSwitch is a network: a bridge in a namespace of its own, wired to this
// machine, and with a bastion a second one that is not.
type netSwitch struct {
	power *daemon
	plug  io.Closer
	slot  int
	inner bool // hosts are on the second bridge
}

// Networks are 198.18.<slot>.0/24 and, behind a bastion, 198.19.<slot>.0/24:
// addresses that RFC 2544 sets aside for test rigs.
const slots = 256

func newSwitch(behindBastion bool) (*netSwitch, error) {
	power, plug, err := boot("{}", "up", syscall.CLONE_NEWNET)
	if err != nil {
		return nil, err
	}
	s := &netSwitch{power: power, plug: plug, inner: behindBastion}
	if err := s.wire(); err != nil {
		power.kill()
		return nil, err
	}
	return s, nil
}

// wire claims the first free slot. The name of an interface is unique in the
// kernel, so making it is the claim.
func (s *netSwitch) wire() error {
	if err := s.power.waitReady(); err != nil {
		return err
	}
	start := os.Getpid()
	for i := range slots {
		s.slot = (start + i) % slots
		uplink := fmt.Sprintf("trig%d", s.slot)
		out, err := exec.Command("ip", "link", "add", uplink, "type", "veth", "peer", "name", "uplink", "netns", s.pid()).CombinedOutput()
		if err != nil {
			if strings.Contains(string(out), "File exists") {
				continue
			}
			return fmt.Errorf("ip link add %s: %v: %s", uplink, err, out)
		}
		if err := ipBatch("", "link set "+uplink+" up", fmt.Sprintf("addr add 198.18.%d.1/24 dev %s", s.slot, uplink),
			fmt.Sprintf("route add 198.19.%d.0/24 dev %s", s.slot, uplink), // nobody answers there
		); err != nil {
			return err
		}
		return ipBatch(s.pid(), "link set lo up",
			"link add outer type bridge", "link set outer up", "link set uplink master outer", "link set uplink up",
			"link add inner type bridge", "link set inner up")
	}
	return fmt.Errorf("all %d test networks are taken (ip link shows trig0 and on)", slots)
}

func (s *netSwitch) pid() string { return fmt.Sprint(s.power.cmd.Process.Pid) }

func (s *netSwitch) hostIP(number int, bastion bool) string {
	if s.inner && !bastion {
		return fmt.Sprintf("198.19.%d.%d", s.slot, number)
	}
	return fmt.Sprintf("198.18.%d.%d", s.slot, number)
}

// connect gives a booting host its interfaces.
func (s *netSwitch) connect(m *isolated) error {
	host := fmt.Sprint(m.power.cmd.Process.Pid)
	bridge := "outer"
	if s.inner && m.name != "bastion" {
		bridge = "inner"
	}
	port := fmt.Sprintf("h%d", m.number)
	// The hardware address stays the same when the host comes back, as a real
	// one does, so that nobody's ARP table is wrong.
	hardware := fmt.Sprintf("02:00:5e:00:%02x:%02x", s.slot, m.number)
	outside := []string{
		"link add " + port + " type veth peer name eth0 address " + hardware + " netns " + host,
		"link set " + port + " master " + bridge + " up",
	}
	inside := []string{"link set lo up", "addr add " + m.ip + "/24 dev eth0", "link set eth0 up"}
	if m.name == "bastion" {
		outside = append(outside,
			"link add b"+port+" type veth peer name eth1 netns "+host,
			"link set b"+port+" master inner up")
		inside = append(inside, fmt.Sprintf("addr add 198.19.%d.%d/24 dev eth1", s.slot, m.number), "link set eth1 up")
	}
	if err := ipBatch(s.pid(), outside...); err != nil {
		return err
	}
	return ipBatch(host, inside...)
}

func (s *netSwitch) link(m *isolated, up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return ipBatch(s.pid(), fmt.Sprintf("link set h%d %s", m.number, state))
}

// ipBatch runs ip commands in the network of a process; of this one for "".
func ipBatch(pid string, commands ...string) error {
	args := []string{"ip", "-batch", "-"}
	if pid != "" {
		args = append([]string{"nsenter", "-t", pid, "-n"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %s: %v: %s", strings.Join(commands, "; "), err, out)
	}
	return nil
}
