// Package codec writes values of the contract of backends as JSON that loses
// nothing: addresses of which a half is missing, documents that are no JSON,
// errors with their kind. Recordings and messages between machines share it.
//
// It knows the contract and documents as text. It must know neither files nor
// networks, nor any backend.
package codec
