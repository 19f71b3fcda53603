// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package store

import "context"

// backend is one pipeline's place: a layout on disk or a repository of a
// registry. What it returns has been verified against its digest.
type backend interface {
	// reference names a manifest for people and tools.
	reference(digest string) string
	// tags lists all tags; none when the place does not exist.
	tags(ctx context.Context) ([]string, error)
	// manifest reads what a tag or digest stands for, or ErrNotFound.
	manifest(ctx context.Context, ref string) (content, error)
	// blob reads a small blob.
	blob(ctx context.Context, d descriptor) ([]byte, error)
	// file gives a verified local file with a blob, of any size.
	file(ctx context.Context, d descriptor, dir string) (string, error)
	// update changes the place. What change does through the transaction is
	// visible to others at the latest when update returns without an error.
	update(ctx context.Context, change func(transaction) error) error
	// writable tells whether update could succeed.
	writable(ctx context.Context) error
	// probe makes sure by writing that update would succeed.
	probe(ctx context.Context) error
}

// transaction is a change in the making.
type transaction interface {
	// manifest is the backend's, with what this transaction has done.
	manifest(ctx context.Context, ref string) (content, error)
	blob(ctx context.Context, d descriptor) ([]byte, error)
	// put adds a small blob.
	put(ctx context.Context, c content) error
	// putFile adds a file's content, which must be what the descriptor says.
	putFile(ctx context.Context, d descriptor, path string) error
	// tag makes a tag stand for a manifest and returns what the tag stands for
	// afterwards, which is something else when another process was faster.
	tag(ctx context.Context, tag string, m content) (content, error)
	// linked keeps evidence that names a release as its subject, and tells
	// whether standard tools find it from there (the referrers API). Without
	// that a subject is not to be written.
	linked(ctx context.Context, release, evidence content) (bool, error)
}
