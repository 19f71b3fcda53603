variable "hosts" {
  type = map(object({ ip = string, port = number, key = string }))
}
variable "user" {}
variable "key_file" {}
variable "archive" {}
variable "directory" {}

resource "terraform_data" "app" {
  for_each = var.hosts

  connection {
    type        = "ssh"
    host        = each.value.ip
    port        = each.value.port
    host_key    = each.value.key
    user        = var.user
    private_key = file(var.key_file)
    agent       = false
  }

  provisioner "file" {
    source      = var.archive
    destination = "/tmp/app.tar.gz"
  }

  provisioner "remote-exec" {
    inline = [
      "set -e",
      "mkdir -p ${var.directory}/releases/1",
      "tar -xzf /tmp/app.tar.gz -C ${var.directory}/releases/1",
      "rm /tmp/app.tar.gz",
      "ln -s releases/1 ${var.directory}/.next",
      "mv -T ${var.directory}/.next ${var.directory}/current",
    ]
  }
}
