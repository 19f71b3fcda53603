// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package testrig

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sshdFiles are what one sshd reads, in a directory of its own.
type sshdFiles struct {
	dir   string // where this test writes them
	seen  string // where sshd finds them
	port  int
	login string
}

func (s sshdFiles) write(t testing.TB, f *Fleet, hostKey KeyPair, o fleetOptions) {
	t.Helper()
	writeFile(t, filepath.Join(s.dir, "host_key"), hostKey.Private, 0o600)
	writeFile(t, filepath.Join(s.dir, "user_ca.pub"), f.CA.Public+"\n", 0o644)
	keys := f.Key.Public + "\n"
	if o.noKey {
		keys = ""
	}
	writeFile(t, filepath.Join(s.dir, "authorized_keys"), keys, 0o644)
	config := fmt.Sprintf(`Port %d
ListenAddress 0.0.0.0
HostKey %[2]s/host_key
AuthorizedKeysFile %[2]s/authorized_keys
TrustedUserCAKeys %[2]s/user_ca.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PidFile none
PrintMotd no
MaxStartups 200
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
Subsystem sftp internal-sftp
`, s.port, s.seen)
	if len(o.sshd) > 0 {
		config = strings.Join(o.sshd, "\n") + "\n" + config
	}
	writeFile(t, filepath.Join(s.dir, "sshd_config"), config, 0o644)
}

// sshdProgram must be called by its full path: it starts itself again for
// every connection.
const sshdProgram = "/usr/sbin/sshd"

func needSSHD(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(sshdProgram); err != nil {
		t.Fatalf("this test starts OpenSSH servers: %v. Run \"make tools\", or install openssh-server", err)
	}
}

// freePort returns a port that nothing listens on at the moment.
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
