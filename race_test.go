//go:build race

package caddyl402

func init() { raceDetector = true }
