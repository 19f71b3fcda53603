// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseNumber reads a finite decimal number; strconv alone would also take
// hexadecimal, underscores, "inf" and "nan".
func parseNumber(text string) (float64, error) {
	if text == "" {
		return 0, errors.New("the number is missing")
	}
	if strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, fmt.Errorf("%q is not a decimal number", shorten(text))
	}
	value, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%q is too large", shorten(text))
	case err != nil:
		return 0, fmt.Errorf("%q is not a decimal number", shorten(text))
	}
	if value == 0 {
		value = 0 // minus zero reads as zero
	}
	return value, nil
}

// measured reads what a program says: a decimal number, an infinity, or NaN,
// which is no data.
func measured(text string) (Sample, error) {
	text = strings.TrimSpace(text)
	switch strings.ToLower(strings.TrimLeft(text, "+-")) {
	case "nan":
		return Sample{NoData: true}, nil
	case "inf", "infinity":
		sign := 1
		if strings.HasPrefix(text, "-") {
			sign = -1
		}
		return Sample{Value: math.Inf(sign)}, nil
	case "":
		return Sample{}, fmt.Errorf("%q is not a number", shorten(text))
	}
	value, err := parseNumber(text)
	if err != nil {
		return Sample{}, err
	}
	return Sample{Value: value}, nil
}

func formatNumber(value float64) string {
	return strconv.FormatFloat(value, 'g', -1, 64)
}
