"""A video becomes track records: decoding, faces, MFCC."""
