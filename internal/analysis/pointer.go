// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// checkPointer says whether text is a JSON pointer (RFC 6901).
func checkPointer(text string) error {
	if text != "" && !strings.HasPrefix(text, "/") {
		return fmt.Errorf("%q is not a JSON pointer; write for example \"/data/0/value\"", shorten(text))
	}
	for rest := text; ; {
		n := strings.IndexByte(rest, '~')
		if n < 0 {
			return nil
		}
		if rest = rest[n+1:]; rest == "" || rest[0] != '0' && rest[0] != '1' {
			return fmt.Errorf("JSON pointer %q: ~ must be followed by 0 or 1", shorten(text))
		}
	}
}

// extract reads the number at a JSON pointer: a number, a string that is one, or
// a boolean as 1 and 0. What is absent, null or NaN is no data.
func extract(document []byte, pointer string) (Sample, error) {
	if err := checkPointer(pointer); err != nil {
		return Sample{}, err
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return Sample{}, errors.New("the answer is not JSON")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Sample{}, errors.New("the answer is more than one JSON value")
	}
	if pointer != "" {
		for _, token := range strings.Split(pointer[1:], "/") {
			var ok bool
			if value, ok = descend(value, strings.NewReplacer("~1", "/", "~0", "~").Replace(token)); !ok {
				return Sample{NoData: true}, nil
			}
		}
	}
	return toSample(value, pointer)
}

func descend(value any, token string) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		inner, ok := v[token]
		return inner, ok
	case []any:
		n, err := strconv.ParseUint(token, 10, 31)
		if err != nil || int(n) >= len(v) || strconv.FormatUint(n, 10) != token {
			return nil, false
		}
		return v[n], true
	}
	return nil, false
}

func toSample(value any, pointer string) (Sample, error) {
	switch v := value.(type) {
	case nil:
		return Sample{NoData: true}, nil
	case bool:
		if v {
			return Sample{Value: 1}, nil
		}
		return Sample{}, nil
	case json.Number:
		return measured(v.String())
	case string:
		return measured(v)
	}
	return Sample{}, fmt.Errorf("%s is not a number", place(pointer))
}

func place(pointer string) string {
	if pointer == "" {
		return "the answer"
	}
	return "the value at " + shorten(pointer)
}
