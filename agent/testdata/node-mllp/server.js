// Receives one message after the other on the port named by the first argument, and tells what it got.
const { Server } = require('node-hl7-server')

const inbound = new Server({ bindAddress: '127.0.0.1' }).createInbound({ port: Number(process.argv[2]) }, async (req, res) => {
  const message = req.getMessage()
  console.log('got ' + message.get('MSH.9.1').toString() + ' ' + message.get('MSH.10').toString())
  await res.sendResponse('AA')
})
inbound.on('listen', () => console.log('ready'))
inbound.on('error', (e) => console.log('error ' + e.message))
