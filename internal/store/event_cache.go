// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import "sync"

// maxEventCache bounds what a process remembers of events, in bytes of JSON.
const maxEventCache = 16 << 20

// eventCache remembers events by the digest of their document, which never
// changes. Its zero value is empty.
type eventCache struct {
	mu     sync.Mutex
	events map[string]Event
	size   int64
}

func (c *eventCache) get(digest string) (Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	event, ok := c.events[digest]
	return event, ok
}

// put makes room by forgetting everything, which costs one more request each.
func (c *eventCache) put(document descriptor, event Event) {
	if document.Size > maxEventCache {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.events[document.Digest]; known {
		return
	}
	if c.events == nil || c.size+document.Size > maxEventCache {
		c.events, c.size = map[string]Event{}, 0
	}
	c.events[document.Digest] = event
	c.size += document.Size
}
