// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tfdelivery/terraform-provider-delivery/internal/testrig"
)

// most is how much memory the store may take for an artifact of any size.
const most = 48 << 20

// TestMemory puts and gets a large artifact and watches the heap meanwhile.
func TestMemory(t *testing.T) {
	const size = 256 << 20
	path, a := largeFile(t, size)
	places := map[string]string{
		"directory": filepath.Join(t.TempDir(), "store"),
		"registry":  testrig.NewRegistry(t).Host,
	}
	for name, location := range places {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			s := open(t, location)
			var release Release
			var file string
			grew := heapGrowth(func() {
				release = put(t, s, record("shop", "1.5.0", a), path)
			})
			if grew > most {
				t.Errorf("putting %d MiB took %d MiB of memory", size>>20, grew>>20)
			}
			grew = heapGrowth(func() {
				var err error
				if file, err = s.Artifact(ctx, release, t.TempDir()); err != nil {
					t.Fatal(err)
				}
			})
			if grew > most {
				t.Errorf("getting %d MiB took %d MiB of memory", size>>20, grew>>20)
			}
			if digest, n, err := hashFile(ctx, file); err != nil || digest != a.Digest || n != size {
				t.Fatalf("%s, %d bytes: %v", digest, n, err)
			}
		})
	}
}

// largeFile writes bytes that nothing compresses.
func largeFile(t *testing.T, size int) (string, Artifact) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "large")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	random := rand.NewPCG(1, 2)
	block := make([]byte, 1<<20)
	for range size / len(block) {
		for n := 0; n < len(block); n += 8 {
			binary.LittleEndian.PutUint64(block[n:], random.Uint64())
		}
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	digest, n, err := hashFile(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	return path, Artifact{MediaType: "application/octet-stream", Digest: digest, Size: n}
}

// heapGrowth runs something and tells by how much the memory that Go took from
// the system grew at most.
func heapGrowth(run func()) uint64 {
	taken := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	before := taken()
	var peak atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		look := time.NewTicker(5 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-stop:
				return
			case <-look.C:
				peak.Store(max(peak.Load(), taken()))
			}
		}
	}()
	run()
	close(stop)
	<-stopped
	return max(peak.Load(), before) - before
}

// TestUploadStreams: the registry gets the artifact's bytes while they are read.
func TestUploadStreams(t *testing.T) {
	t.Parallel()
	var length atomic.Int64
	host := inProcess(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch {
				length.Store(max(length.Load(), r.ContentLength))
			}
			next.ServeHTTP(w, r)
		})
	})
	data := []byte(strings.Repeat("x", 3<<20))
	path, a := artifactFile(t, data)
	put(t, open(t, host), record("shop", "1.5.0", a), path)
	if length.Load() != int64(len(data)) {
		t.Fatalf("the upload said it had %d bytes", length.Load())
	}
}
