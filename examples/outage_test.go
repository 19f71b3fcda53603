// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package examples

import (
	"net"
	"sync"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// outages watches which hosts answer.
type outages struct {
	done  chan struct{}
	group sync.WaitGroup

	mu   sync.Mutex
	down map[string]bool
	most int
}

// watch connects to the application on each host, again and again.
func watch(hosts []*testrig.Host) *outages {
	o := &outages{done: make(chan struct{}), down: map[string]bool{}}
	for _, h := range hosts {
		o.group.Go(func() {
			next := time.NewTicker(10 * time.Millisecond)
			defer next.Stop()
			for {
				select {
				case <-o.done:
					return
				case <-next.C:
				}
				conn, err := net.DialTimeout("tcp", h.IP+":8000", time.Second)
				if err == nil {
					conn.Close()
				}
				o.note(h.Name, err != nil)
			}
		})
	}
	return o
}

func (o *outages) note(host string, down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if down {
		o.down[host] = true
	} else {
		delete(o.down, host)
	}
	o.most = max(o.most, len(o.down))
}

// stop says how many hosts were down at once, at the worst moment.
func (o *outages) stop() int {
	close(o.done)
	o.group.Wait()
	return o.most
}
