"""What is kept of the images that strangers send: examined, written anew, and stored under the hash of what was written."""
