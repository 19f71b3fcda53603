// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package deployment

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// deepestField is how many members a field's name has at most; what lies below
// is part of its value.
const deepestField = 4

// fields takes a configuration apart: the members of objects by their names
// with dots, such as "service.command". A list is one value. What is no object
// has no fields.
func fields(raw json.RawMessage) map[string]json.RawMessage {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var root map[string]any
	if decoder.Decode(&root) != nil {
		return nil
	}
	all := map[string]json.RawMessage{}
	collectFields(all, "", root, deepestField)
	return all
}

func collectFields(all map[string]json.RawMessage, prefix string, members map[string]any, levels int) {
	for name, value := range members {
		if object, ok := value.(map[string]any); ok && levels > 1 && len(object) > 0 {
			collectFields(all, prefix+name+".", object, levels-1)
			continue
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			panic(err) // JSON that was parsed
		}
		all[prefix+name] = encoded
	}
}

// hashed replaces each value by a short hash.
func hashed(values map[string]json.RawMessage) map[string]string {
	all := make(map[string]string, len(values))
	for name, value := range values {
		sum := sha256.Sum256([]byte(name + "\x00" + string(value)))
		all[name] = hex.EncodeToString(sum[:4])
	}
	return all
}
